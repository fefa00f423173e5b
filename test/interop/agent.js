'use strict';
// A process that drives one version of BullMQ for tests in another language. It reads requests from standard input
// and writes replies and events to standard output, one JSON document a line (package test/interop/node speaks it):
//
//   {"id":1,"op":"new","name":"q","class":"Queue","args":["mail",{"connection":{...}}]}
//   {"id":2,"op":"call","on":"q","method":"add","args":["send",{"a":1}],"as":"j"}    the result, kept as object j
//   {"id":3,"op":"job","on":"q","job":"1","method":"promote","args":[]}              a method of a stored job
//   {"id":4,"op":"get","on":"j","method":"attemptsMade"}                             a property, or what it promises
//   {"id":7,"op":"static","class":"Job","method":"fromId","args":[...]}              a static method of a class
//   {"id":8,"op":"call","on":"w","method":"run","loose":true}                        does not wait for what it promises
//   {"id":9,"op":"set","on":"w","method":"concurrency","args":[3]}                   sets a property
//   {"id":5,"op":"open","name":"gate"}                                               lets steps that await it go on
//   {"id":6,"op":"close","on":"q","args":[true]}                                     closes and forgets an object
//
// Replies are {"id":1,"ok":value} or {"id":1,"error":{"name","message"}}. What an object emits comes as
// {"on":"w","event":"completed","args":[...],"at":ms}. The process ends when its standard input does.
const readline = require('node:readline');
const path = require('node:path');
const { decode, encode } = require('./agent/wire');
const { makeTelemetry } = require('./agent/telemetry');
const { makeProcessor, gates } = require('./agent/steps');

const version = process.argv[2];
const bullmq = require(`bullmq-${version}`);
const objects = new Map();

function send(message) {
  process.stdout.write(JSON.stringify(message) + '\n');
}

function find(name) {
  const object = objects.get(name);
  if (object === undefined) throw new Error(`agent: no object ${name}`);
  return object;
}

// Values that JSON cannot say are objects with one member that begins with a dollar sign.
const special = {
  $undefined: () => undefined,
  $ref: (name) => find(name),
  $error: ({ name, message }) => (bullmq[name] ? new bullmq[name](message) : new Error(message)),
  $date: (ms) => new Date(ms),
  $delays: (list) => (attempt) => list[Math.min(attempt, list.length) - 1],
  $telemetry: (name) => telemetryOf(name),
  $file: (name) => path.join(__dirname, 'agent', name),
  $listener: (name) => listen(name),
  $steps: (steps) => makeProcessor(steps, { bullmq, find, version }),
};

// listen returns the function of the name, which reports its calls as the event "heard".
const listeners = new Map();
function listen(name) {
  if (!listeners.has(name)) {
    listeners.set(name, (...args) => send({ on: name, event: 'heard', args: encode(args), at: Date.now() }));
  }
  return listeners.get(name);
}

// telemetryOf returns a telemetry client whose spans are reported as events of the name.
const telemetryOf = (name) => makeTelemetry((event, args) => send({ on: name, event, args: encode(args), at: Date.now() }));

function report(name, object, quiet) {
  if (typeof object.emit !== 'function') return;
  const emit = object.emit;
  object.emit = function (event, ...args) {
    if (!quiet || event === 'error') send({ on: name, event, args: encode(args), at: Date.now() });
    return emit.call(this, event, ...args);
  };
  object.on('error', () => {});
}

// connectCluster returns a connection to a cluster that objects can share, by the client that BullMQ brings.
function connectCluster(nodes) {
  const { Cluster } = require(require.resolve('ioredis', { paths: [path.dirname(require.resolve(`bullmq-${version}/package.json`))] }));
  const cluster = new Cluster(nodes, { redisOptions: { maxRetriesPerRequest: null } });
  cluster.close = async () => cluster.disconnect();
  return cluster;
}

async function create({ name, class: kind, args, quiet }) {
  const object = kind === 'Cluster' ? connectCluster(...args) : new bullmq[kind](...args);
  objects.set(name, object);
  report(name, object, quiet);
  if (typeof object.waitUntilReady === 'function') await object.waitUntilReady();
}

// callOn calls the method at the end of a dotted path, as a method of what precedes it, which may be a promise.
async function callOn(object, path, args) {
  const names = path.split('.');
  const method = names.pop();
  let owner = object;
  for (const name of names) owner = await owner[name];
  if (typeof owner[method] !== 'function') throw new Error(`agent: ${path} is no method in BullMQ ${version}`);
  return owner[method](...args);
}

async function callOnJob({ on, job: id, method, args }) {
  const job = await bullmq.Job.fromId(find(on), id);
  if (!method) return job;
  if (!job) throw new Error(`agent: no job ${id}`);
  return callOn(job, method, args);
}

async function close({ on, args }) {
  const object = find(on);
  objects.delete(on);
  if (typeof object.close === 'function') await object.close(...args);
}

const operations = {
  new: create,
  call({ on, method, args, loose }) {
    const result = callOn(find(on), method, args);
    if (!loose) return result;
    Promise.resolve(result).catch((error) => send({ on, event: 'rejected', args: encode([error]), at: Date.now() }));
    return undefined;
  },
  job: callOnJob,
  static: ({ class: kind, method, args }) => callOn(bullmq[kind], method, args),
  get: ({ on, method }) => method.split('.').reduce((value, name) => value?.[name], find(on)),
  set({ on, method, args }) {
    find(on)[method] = args[0];
  },
  open: ({ name }) => gates.open(name),
  close,
};

async function serve(line) {
  const request = JSON.parse(line);
  try {
    request.args = decode(request.args ?? [], special);
    const value = await operations[request.op](request);
    if (request.as) objects.set(request.as, value);
    send({ id: request.id, ok: encode(value) ?? null });
  } catch (error) {
    send({ id: request.id, error: encode(error) });
  }
}

process.on('unhandledRejection', (error) => console.error('unhandled rejection:', error));
readline.createInterface({ input: process.stdin, crlfDelay: Infinity }).on('line', serve).on('close', () => process.exit(0));
send({ event: 'ready', args: [version], at: Date.now() });

'use strict';
// A process that carries out steps of the differential test with one version of BullMQ, on two databases of one Redis:
// side 0 is Node's alone, on side 1 Node does what producers and operators do and Takt the rest.
//
//   node driver.js <version> <host> <port> <database of side 0> <database of side 1>
//
// It reads requests from standard input and answers each on standard output, one JSON document a line:
//
//   {"sides":[0,1],"op":{"do":"queue","queue":"work","method":"pause"}}     one result for each side, in order
//   {"setup":{"name":"w","metrics":5}}                                      options of the workers from now on
//
// Results are {"ok":value} or {"error":"message"}. The process ends when its standard input does.
const readline = require('node:readline');
const clock = require('./driver/clock');
const { load } = require('./driver/load');
const { Side } = require('./driver/side');

const [version, host, port, ...databases] = process.argv.slice(2);
const bullmq = load(version);
const sides = databases.map((db) => new Side(bullmq, { host, port: Number(port), db: Number(db), maxRetriesPerRequest: null }));

async function perform(side, op) {
  clock.freeze();
  try {
    return { ok: (await side.perform(op)) ?? null };
  } catch (error) {
    return { error: error.message };
  } finally {
    clock.thaw();
  }
}

async function answer(request) {
  if (request.setup) {
    for (const side of sides) side.reset(request.setup);
    return [];
  }
  const results = [];
  for (const side of request.sides) results.push(await perform(sides[side], request.op));
  return results;
}

process.on('unhandledRejection', (error) => console.error('unhandled rejection:', error));
async function main() {
  await Promise.all(sides.map((side) => side.ready()));
  process.stdout.write('"ready"\n');
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n');
  }
  process.exit(0);
}
main();

// BullMQ's own producer: in bulk, or at a steady pace one by one.
import { setTimeout as wait } from 'node:timers/promises';
import { bullmq, connection, input, nanoseconds, payload, say, spec } from './child.mjs';

async function addBulk(queue, jobs) {
  for (let left = jobs; left > 0; left -= spec.chunk) {
    const data = payload(spec.bytes, 0);
    const chunk = Array.from({ length: Math.min(left, spec.chunk) }, () => ({ name: spec.name, data }));
    await queue.addBulk(chunk);
  }
}

// A flow has as many jobs as spec.flow says, in the shape that newFlow of flows.go gives them.
const FLOW_PARENTS = 9;

function newFlow(queueName) {
  const job = (children) => ({ name: spec.name, queueName, data: payload(spec.bytes, 0), children });
  const below = (spec.flow - 1 - FLOW_PARENTS) / FLOW_PARENTS;
  return job(Array.from({ length: FLOW_PARENTS }, () => job(Array.from({ length: below }, () => job()))));
}

async function addFlows(queueName, jobs) {
  const latencies = [];
  const producer = new bullmq.FlowProducer({ connection });
  await producer.waitUntilReady();
  for (let left = jobs; left > 0; left -= spec.flow) {
    const flow = newFlow(queueName);
    const began = nanoseconds();
    await producer.add(flow);
    latencies.push((nanoseconds() - began) / 1e6);
  }
  await producer.close();
  return latencies;
}

async function readPages(queue) {
  const latencies = [];
  for (let page = 0; page < spec.pages; page += 1) {
    const began = nanoseconds();
    const jobs = await queue.getJobs(['waiting'], 0, spec.jobs - 1);
    latencies.push((nanoseconds() - began) / 1e6);
    if (jobs.length !== spec.jobs) throw new Error(`a page of ${jobs.length} jobs, want ${spec.jobs}`);
  }
  return latencies;
}

async function addPaced(queue) {
  const began = performance.now();
  const adds = [];
  for (let i = 0; i < spec.jobs; i += 1) {
    await wait(Math.max(began + (i * 1000) / spec.rate - performance.now(), 0));
    adds.push(queue.add(spec.name, payload(spec.bytes, nanoseconds())));
  }
  await Promise.all(adds);
}

const { begun, ended } = input();
const queue = new bullmq.Queue(spec.queue, { connection });
await queue.waitUntilReady();
if (spec.rate === 0) {
  // Scripts are loaded and compiled by then, on both ends.
  const other = new bullmq.Queue(`${spec.queue}-warm`, { connection });
  await (spec.flow > 0 ? addFlows(other.name, spec.warm) : addBulk(other, spec.warm));
  await other.close();
}
if (spec.pages > 0) await addBulk(queue, spec.jobs);
say({ ready: true });
await begun;
const at = nanoseconds();
let latencies = [];
if (spec.pages > 0) latencies = await readPages(queue);
else if (spec.flow > 0) latencies = await addFlows(queue.name, spec.jobs);
else await (spec.rate > 0 ? addPaced(queue) : addBulk(queue, spec.jobs));
const seconds = (nanoseconds() - at) / 1e9;
await queue.close();
say({ report: { jobs: spec.jobs, window: spec.jobs, seconds, latencies } });
await ended;
process.exit(0);

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
  await addBulk(other, spec.warm);
  await other.close();
}
say({ ready: true });
await begun;
const at = nanoseconds();
await (spec.rate > 0 ? addPaced(queue) : addBulk(queue, spec.jobs));
const seconds = (nanoseconds() - at) / 1e9;
await queue.close();
say({ report: { jobs: spec.jobs, window: spec.jobs, seconds } });
await ended;
process.exit(0);

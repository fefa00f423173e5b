// BullMQ's own worker, with its defaults, on a handler that does nothing but count.
import { bullmq, connection, input, nanoseconds, say, spec } from './child.mjs';

const latencies = [];
let handled = 0;
let began;
let window;
let allHandled;
const all = new Promise((resolve) => { allHandled = resolve; });

function look() {
  const { user, system } = process.cpuUsage();
  return { at: nanoseconds(), cpu: (user + system) / 1e6 };
}

async function handle(job) {
  if (spec.latency) latencies.push((nanoseconds() - job.data.at) / 1e6);
  handled += 1;
  if (handled === spec.warm) began = look();
  if (handled === spec.jobs) {
    window = look();
    allHandled();
  }
}

const { begun, enough, ended } = input();
say({ ready: true });
await begun;
const worker = new bullmq.Worker(spec.queue, handle, { connection, concurrency: spec.concurrency });
worker.on('error', (error) => { console.error(error.message); });
await worker.waitUntilReady();
say({ working: true });
await Promise.race([all, enough]);
await worker.close();
say({
  report: {
    jobs: handled,
    window: window && began ? spec.jobs - spec.warm : 0,
    seconds: window && began ? (window.at - began.at) / 1e9 : 0,
    cpu: window && began ? window.cpu - began.cpu : 0,
    latencies,
  },
});
await ended;
process.exit(0);

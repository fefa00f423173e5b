'use strict';
// What workers of the agent do with jobs: lists of steps by job name, "*" for all others, without a list: echo.
const { appendFileSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');

// Gates hold steps until the driver opens them; an opened gate stays open.
const gates = {
  known: new Map(),
  at(name) {
    if (!this.known.has(name)) {
      const gate = {};
      gate.opened = new Promise((resolve) => (gate.open = resolve));
      this.known.set(name, gate);
    }
    return this.known.get(name);
  },
  open(name) {
    this.at(name).open();
  },
};

const end = (value) => ({ value });

// Each step gets itself and what it works on. It returns end(value) to end the job; nothing lets the next step run.
const kinds = {
  return: (step) => end(step.value),
  echo: (_, { job }) => end(job.data),
  fail(step, { job }) {
    if (job.attemptsMade < (step.times ?? Infinity)) throw new Error(step.message);
  },
  throw(step, { bullmq }) {
    throw new bullmq[step.class](step.message);
  },
  throwValue(step) {
    throw step.value;
  },
  sleep: async (step) => void (await sleep(step.ms)),
  await: async (step) => void (await gates.at(step.gate).opened),
  // Ends when the worker cancels the job, as the reason says.
  async awaitCancel(_, { signal }) {
    await new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', resolve)));
    throw new Error(`cancelled: ${signal.reason}`);
  },
  progress: async (step, { job }) => void (await job.updateProgress(step.value)),
  log: async (step, { job }) => void (await job.log(step.line)),
  updateData: async (step, { job }) => void (await job.updateData(step.value)),
  async delay(step, { job, token, bullmq }) {
    if (job.attemptsStarted > (step.times ?? 1)) return;
    await job.moveToDelayed(Date.now() + step.ms, token);
    throw new bullmq.DelayedError();
  },
  async rateLimit(step, { job, find, bullmq }) {
    if (job.attemptsStarted > (step.times ?? 1)) return;
    await find(step.queue).rateLimit(step.ms);
    throw bullmq.Worker.RateLimitError();
  },
  async addChild(step, { job, find }) {
    if (job.attemptsStarted > 1) return;
    await find(step.queue).add(step.name, step.data, { ...step.opts, parent: { id: job.id, queue: job.queueQualifiedName } });
  },
  async waitChildren(_, { job, token, bullmq }) {
    if (await job.moveToWaitingChildren(token)) throw new bullmq.WaitingChildrenError();
  },
  childrenValues: async (_, { job }) => end(await job.getChildrenValues()),
  // One line a start, written with a single append, so that several processes share the file.
  record(step, { job, version }) {
    const line = { by: `node ${version}`, queue: job.queueName, id: job.id, name: job.name, attempt: job.attemptsMade + 1, at: Date.now() };
    appendFileSync(step.file, JSON.stringify({ ...line, event: step.event ?? 'start' }) + '\n');
  },
};

// makeProcessor returns the processor of a worker; world is what steps may reach.
function makeProcessor(steps, world) {
  const run = async (job, token, signal) => {
    for (const step of steps[job.name] ?? steps['*'] ?? [{ do: 'echo' }]) {
      const ended = await kinds[step.do](step, { ...world, job, token, signal });
      if (ended) return ended.value;
    }
    return undefined;
  };
  // A processor with a third parameter asks for a signal, which costs each job a controller.
  const cancellable = Object.values(steps).flat().some((step) => step.do === 'awaitCancel');
  return cancellable ? (job, token, signal) => run(job, token, signal) : (job, token) => run(job, token);
}

module.exports = { makeProcessor, gates };

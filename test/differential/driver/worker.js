'use strict';
// Workers that take and end jobs only when told to, by the very code by which BullMQ's own workers do it.
const clock = require('./clock');

const lost = /^(Missing lock|Lock mismatch|Missing key) for job |is not in the active state/;
const moved = /^(Delayed|Waiting|WaitingChildren)Error$/;
const refusedByChildren = /has pending dependencies|has at least one failed child/;

// What a handler does to end a job.
const endings = {
  complete: ({ value }) => value,
  fail({ reason }) {
    throw Object.assign(new Error(reason), { stack: `Error: ${reason}\n    at here` });
  },
  unrecoverable({ reason }, { bullmq }) {
    throw Object.assign(new bullmq.UnrecoverableError(reason), { stack: `Error: ${reason}\n    at here` });
  },
  async snooze({ ms }, { job, token, bullmq }) {
    await job.moveToDelayed(Date.now() + ms, token);
    throw new bullmq.DelayedError();
  },
  async back(_, { job, token, bullmq }) {
    await job.moveToWait(token);
    throw new bullmq.WaitingError();
  },
  // A handler of ours only says how long its queue is to be held, so nothing is held for a job that was lost.
  async limit({ ms }, { job, token, queue, bullmq }) {
    await job.moveToWait(token);
    await queue.rateLimit(ms);
    throw new bullmq.WaitingError();
  },
  // A handler of ours that waits for children has returned, so that a job without any starts anew: at once as often as
  // it has children that are done, then after a second.
  async children(_, { job, token, bullmq }) {
    if (await job.moveToWaitingChildren(token)) throw new bullmq.WaitingChildrenError();
    const { processed, ignored } = await job.getDependenciesCount({ processed: true, ignored: true });
    if (job.attemptsStarted - job.attemptsMade > processed + ignored) {
      await job.moveToDelayed(Date.now() + 1000, token);
      throw new bullmq.DelayedError();
    }
    await job.moveToWait(token);
    throw new bullmq.WaitingError();
  },
};

function makeHandWorker(bullmq, queue, opts) {
  const v6 = typeof bullmq.Worker.prototype.moveToActive === 'function' && bullmq.Worker.prototype.moveToActive.length === 2;

  return class HandWorker extends bullmq.Worker {
    constructor() {
      super(queue.name, (job, token) => endings[this.ending.kind](this.ending, { job, token, queue, bullmq }), {
        ...opts, autorun: false, lockDuration: 3600000, stalledInterval: 5 * 3600000,
      });
      this.errors = [];
      this.on('error', (error) => this.errors.push(error.message));
    }

    // configure sets what workers of a sequence have in common. BullMQ reads it at each call.
    configure({ limiter, metrics, keepCompleted, keepFailed, name }) {
      this.opts.limiter = limiter ? { max: limiter, duration: 3600000 } : undefined;
      this.opts.metrics = metrics ? { maxDataPoints: metrics } : undefined;
      this.opts.removeOnComplete = keepCompleted ? { count: keepCompleted } : undefined;
      this.opts.removeOnFail = keepFailed ? { count: keepFailed } : undefined;
      this.opts.name = name;
      this.limitUntil = 0;
      this.blockUntil = 0;
    }

    async take(token) {
      return v6 ? this.moveToActive(token, this.opts.name) : this.moveToActive(await this.client, token, this.opts.name);
    }

    // end ends the job as told. It returns what became of it, and the next job if one is wanted and there is one.
    async end(job, token, ending, wantsNext) {
      this.ending = ending;
      this.wantsNext = wantsNext;
      this.errors = [];
      this.refused = false;
      const next = await this.processJob(job, token, () => wantsNext);
      const other = this.errors.find((message) => !lost.test(message) && !refusedByChildren.test(message));
      if (other) throw new Error(other);
      return { status: this.errors.some((message) => lost.test(message)) ? 'lost' : 'settled', next, refused: this.refused };
    }

    async handleFailed(error, job, token, fetchNext, span) {
      if (moved.test(error.name)) {
        // BullMQ 5.70 takes a job here although none is wanted.
        return this.wantsNext ? this.take(token) : undefined;
      }
      if (lost.test(error.message)) {
        // Node tries to fail a job that it has lost. That is refused, but may promote delayed jobs before: ours promotes
        // them at the next fetch.
        this.errors.push(error.message);
        return this.wantsNext ? this.take(token) : undefined;
      }
      if (!this.wantsNext || !refusedByChildren.test(error.message)) {
        return super.handleFailed(error, job, token, fetchNext, span);
      }
      this.refused = true;
      // One call of ours tells the refusal and brings the next job, a second one writes the failure.
      // Under a token of its own, as ours: the job taken may be this one, had others put it back.
      const next = await this.take(`${token} next`);
      await clock.next();
      await super.handleFailed(error, job, token, () => false, span).catch((again) => this.errors.push(again.message));
      return next;
    }

    recover() {
      return this.moveStalledJobsToWait();
    }
  };
}

module.exports = { makeHandWorker };

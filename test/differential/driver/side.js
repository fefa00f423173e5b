'use strict';
// One database: queues, a producer of flows, and workers that hold jobs in slots.
const clock = require('./clock');
const { getters } = require('./getters');
const { Redis } = require('./load');
const { makeHandWorker } = require('./worker');

const names = ['work', 'boss'];

class Side {
  constructor(bullmq, connection) {
    this.bullmq = bullmq;
    this.connection = connection;
    this.queues = {};
    this.workers = {};
    this.events = {};
    for (const name of names) {
      this.queues[name] = new bullmq.Queue(name, { connection });
      this.queues[name].on('error', () => {});
      this.events[name] = new bullmq.QueueEventsProducer(name, { connection });
      this.workers[name] = new (makeHandWorker(bullmq, this.queues[name], { connection }))();
    }
    this.redis = new Redis(connection);
    this.flow = new bullmq.FlowProducer({ connection });
    this.reset({});
  }

  ready() {
    const all = [this.queues, this.workers, this.events].flatMap(Object.values).concat(this.flow);
    return Promise.all(all.map((object) => object.waitUntilReady?.()));
  }

  // reset begins a sequence.
  reset(setup) {
    for (const worker of Object.values(this.workers)) worker.configure(setup);
    this.held = new Map();
    this.tokens = 0;
  }

  perform(op) {
    return this[`do_${op.do}`](op);
  }

  // Producers and operators.

  async do_queue({ queue, method, args = [] }) {
    return plain(await this.queues[queue][method](...withTimes(args)));
  }

  async do_job({ queue, id, method, args = [] }) {
    const job = await this.bullmq.Job.fromId(this.queues[queue], id);
    if (!job) throw new Error(`no job ${id}`);
    return plain(await job[method](...withTimes(args)));
  }

  async do_flow({ method, args }) {
    const added = await this.flow[method](...withTimes(args));
    return Array.isArray(added) ? added.map(tree) : tree(added);
  }

  // do_scheduled calls a method of the job that a scheduler waits for.
  async do_scheduled({ queue, id, method, args = [] }) {
    const next = await this.redis.zscore(`bull:${queue}:repeat`, id);
    return this.do_job({ queue, id: `repeat:${id}:${next}`, method, args });
  }

  async do_events({ queue, method, args }) {
    return plain(await this.events[queue][method](...args));
  }

  do_get({ queue, method, id, args }) {
    return getters[method]({ queue: this.queues[queue], flow: this.flow, id, args });
  }

  // Workers.

  async do_fetch({ queue, next }) {
    return { jobs: await this.fetch(queue, next, []) };
  }

  async do_settle({ queue, endings, next = [] }) {
    const worker = this.workers[queue];
    const statuses = [];
    const taken = [];
    let refused = false;
    for (const [i, ending] of endings.entries()) {
      const { job, token } = this.held.get(slotOf(queue, ending.slot));
      this.held.delete(slotOf(queue, ending.slot));
      const wantsNext = i === endings.length - 1 && next.length > 0;
      const ended = await worker.end(job, token, ending, wantsNext);
      statuses.push(ended.status);
      refused ||= ended.refused;
      if (ended.next) taken.push({ job: ended.next, token: ended.next.token });
    }
    return { statuses, jobs: await this.fetch(queue, refused ? next.slice(0, taken.length) : next, taken) };
  }

  // fetch fills the slots with the jobs that were taken already and then with others. Jobs whose failure was decided
  // before are failed, as workers do it.
  async fetch(queue, slots, taken) {
    const worker = this.workers[queue];
    while (taken.length < slots.length) {
      const token = `token${++this.tokens}`;
      const job = await worker.take(token);
      if (!job) break;
      taken.push({ job, token });
    }
    const jobs = [];
    for (const [i, { job, token }] of taken.entries()) {
      jobs.push({ ...summary(job), refused: job.deferredFailure });
      if (!job.deferredFailure) this.held.set(slotOf(queue, slots[i]), { job, token });
    }
    for (const { job, token } of taken) {
      if (!job.deferredFailure) continue;
      await clock.next();
      await worker.end(job, token, { kind: 'complete' }, false);
    }
    return jobs;
  }

  async do_extend({ queue, slot }) {
    const { job, token } = this.held.get(slotOf(queue, slot));
    try {
      return (await job.extendLock(token, 3600000)) === 1 ? 'settled' : 'lost';
    } catch (error) {
      if (/Missing lock|Lock mismatch|could not renew lock/i.test(error.message)) return 'lost';
      throw error;
    }
  }

  async do_note({ queue, slot, data, progress, lines = [] }) {
    const { job } = this.held.get(slotOf(queue, slot));
    try {
      if (data !== undefined) await job.updateData(data);
      if (progress !== undefined) await job.updateProgress(progress);
      for (const line of lines) await job.log(line);
      return 'settled';
    } catch (error) {
      if (/^Missing key/.test(error.message)) return 'lost';
      throw error;
    }
  }

  async do_recover({ queue }) {
    await this.workers[queue].recover();
  }
}

const slotOf = (queue, slot) => `${queue} ${slot}`;

// withTimes replaces {"$now": ms} by a time so many ms from now, anywhere in a value.
function withTimes(value) {
  if (Array.isArray(value)) return value.map(withTimes);
  if (value === null || typeof value !== 'object') return value;
  if ('$now' in value) return Date.now() + value.$now;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withTimes(member)]));
}

function summary(job) {
  return {
    id: job.id, name: job.name, data: JSON.stringify(job.data), made: job.attemptsMade, started: job.attemptsStarted ?? 0,
    crashes: job.stalledCounter ?? 0,
  };
}

// plain keeps of a result what JSON can say: of jobs the id.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  if (typeof value.moveToCompleted === 'function') return value.id;
  return 'object';
}

// tree keeps of a flow the ids.
function tree({ job, children = [] }) {
  return children.length > 0 ? { id: job.id, children: children.map(tree) } : { id: job.id };
}

module.exports = { Side };

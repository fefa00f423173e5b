'use strict';
// What Node's getters say of a queue and its jobs, in the form in which the answers of both sides are compared.

// shown is what is compared of a job.
function shown(job, state) {
  return {
    id: job.id, name: job.name, data: job.data, result: state === 'completed' ? job.returnvalue : null, progress: job.progress,
    reason: job.failedReason ?? '', worker: job.processedBy ?? '', parent: job.parentKey ?? '', scheduler: job.repeatJobKey ?? '',
    dedup: job.deduplicationId ?? '', made: job.attemptsMade, started: job.attemptsStarted ?? 0, crashes: job.stalledCounter ?? 0,
    priority: job.priority, stacks: (job.stacktrace ?? []).length, created: job.timestamp, processed: job.processedOn ?? 0,
    finished: job.finishedOn ?? 0, delay: job.repeatJobKey ? 0 : job.delay,
  };
}

const sorted = (list) => [...list].sort();

// below gathers the names of the jobs of a flow.
function below(node, names) {
  if (!node?.job) return names;
  names.add(`${node.job.queueName} ${node.job.id}`);
  for (const child of node.children ?? []) below(child, names);
  return names;
}

const getters = {
  async counts({ queue }) {
    const counts = await queue.getJobCounts();
    return {
      ...counts, paused: counts.paused ?? 0, ahead: await queue.count(), some: await queue.getJobCountByTypes('waiting', 'failed'),
    };
  },

  priorities: ({ queue, args }) => queue.getCountsPerPriority(args[0]),

  async jobs({ queue, args: [state, start, end, ascending] }) {
    const jobs = await queue.getJobs([state], start, end, ascending);
    return jobs.filter((job) => job?.timestamp).map((job) => shown(job, state));
  },

  async job({ queue, id }) {
    const job = await queue.getJob(id);
    if (!job) return null;
    const state = await queue.getJobState(id);
    return { ...shown(job, state), state, completed: await job.isCompleted(), failed: await job.isFailed() };
  },

  log: ({ queue, id, args: [start, end, ascending] }) => queue.getJobLogs(id, start, end, ascending),

  async children({ queue, id }) {
    const job = await queue.getJob(id);
    if (!job) return null;
    const { processed, unprocessed, ignored, failed } = await job.getDependencies({ processed: {}, unprocessed: {}, ignored: {}, failed: {} });
    return {
      counts: await job.getDependenciesCount(), values: await job.getChildrenValues(), reasons: await job.getIgnoredChildrenFailures(),
      processed: sorted(Object.keys(processed ?? {})), unprocessed: sorted(unprocessed ?? []),
      ignored: sorted(Object.keys(ignored ?? {})), failed: sorted(failed ?? []),
    };
  },

  async flow({ queue, id, flow }) {
    return sorted(below(await flow.getFlow({ queueName: queue.name, id }), new Set()));
  },

  async schedulers({ queue }) {
    const all = await queue.getJobSchedulers(0, -1, true);
    const list = all.map((s) => ({
      key: s.key, name: s.name, next: s.next, iterations: s.iterationCount ?? 0, every: Number(s.every ?? 0), pattern: s.pattern ?? '',
      tz: s.tz ?? '', limit: s.limit ?? 0, end: s.endDate ?? 0, data: s.template?.data ?? null,
    }));
    return { count: await queue.getJobSchedulersCount(), list: list.sort((a, b) => (a.key < b.key ? -1 : 1)) };
  },

  async metrics({ queue, args: [state, start, end] }) {
    const { meta, data, count } = await queue.getMetrics(state, start, end);
    return { ...meta, data: data.map(Number), kept: count };
  },

  async limits({ queue }) {
    const rate = await queue.getGlobalRateLimit();
    const hour = 3600000;
    return {
      concurrency: (await queue.getGlobalConcurrency()) ?? 0, max: rate?.max ?? 0, duration: rate?.duration ?? 0,
      full: await queue.isMaxed(), paused: await queue.isPaused(),
      left: Math.round(Math.max(await queue.getRateLimitTtl(), 0) / hour), leftOfThree: Math.round(Math.max(await queue.getRateLimitTtl(3), 0) / hour),
    };
  },

  async owner({ queue, args }) {
    return (await queue.getDeduplicationJobId(args[0])) ?? null;
  },

  prometheus: async ({ queue }) => (await queue.exportPrometheusMetrics()).trim().split('\n'),
};

module.exports = { getters };

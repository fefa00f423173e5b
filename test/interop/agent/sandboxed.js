'use strict';
// A processor in a file of its own, which BullMQ runs in another process or thread.
const { isMainThread } = require('node:worker_threads');

module.exports = async (job) => {
  await job.log(`worked in ${isMainThread ? 'a process' : 'a thread'}`);
  await job.updateProgress(50);
  return { sandboxed: job.data, forked: process.env.TAKT_FORKED ?? '' };
};

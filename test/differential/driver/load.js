'use strict';
const path = require('node:path');

// What test/interop installs.
const installed = (name) => require(require.resolve(name, { paths: [path.join(__dirname, '..', '..', 'interop')] }));

module.exports = {
  Redis: installed('ioredis'),
  load: (version) => installed(`bullmq-${version}`),
};

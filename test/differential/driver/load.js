'use strict';
const path = require('node:path');

// load returns a version of BullMQ as test/interop installs it.
function load(version) {
  const installed = path.join(__dirname, '..', '..', 'interop');
  return require(require.resolve(`bullmq-${version}`, { paths: [installed] }));
}

module.exports = { load };

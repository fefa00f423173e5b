'use strict';
// Serves Bull Board for the queues named: node board.js HOST:PORT QUEUE... It says where it listens on standard output,
// and ends when its standard input does.
const { Queue } = require('bullmq');
const express = require('express');
const { createBullBoard } = require('@bull-board/api');
const { BullMQAdapter } = require('@bull-board/api/bullMQAdapter');
const { ExpressAdapter } = require('@bull-board/express');

const [address, ...names] = process.argv.slice(2);
const [host, port] = address.split(':');
const queues = names.map((name) => new Queue(name, { connection: { host, port: Number(port) } }));
const serverAdapter = new ExpressAdapter();
createBullBoard({ queues: queues.map((queue) => new BullMQAdapter(queue)), serverAdapter });

const app = express();
app.use('/', serverAdapter.getRouter());
const server = app.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on('end', () => process.exit(0));

// Ballots with fastify and PostgreSQL: what a team would write that wants them signed, durable and
// counted once. A peer of Veche for bench/peers/run, which starts it with one JSON argument.
//
// The token is verified, the body validated by a schema, and one statement inserts the ballot and
// adds to the tally; its commit is synced before the answer. Tables: ../postgres.sql.
'use strict';

const cluster = require('node:cluster');
const { createHmac, randomBytes } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { createVerifier } = require('fast-jwt');
const fastify = require('fastify');
const { Pool } = require('pg');

// host, port, database, keys, workers, connections (of each worker to PostgreSQL), receiptSecret
const settings = JSON.parse(process.argv[2]);

const bodySchema = {
  type: 'object',
  required: ['answers'],
  additionalProperties: false,
  properties: {
    answers: {
      type: 'array',
      minItems: 1,
      maxItems: 1,
      items: {
        type: 'object',
        required: ['question', 'choices'],
        additionalProperties: false,
        properties: {
          question: { type: 'string', maxLength: 64 },
          choices: {
            type: 'array',
            minItems: 1,
            maxItems: 1,
            items: { type: 'string', maxLength: 64 },
          },
        },
      },
    },
  },
};

const countedSchema = {
  type: 'object',
  properties: {
    outcome: { type: 'string' },
    poll: { type: 'string' },
    receipt: { type: 'string' },
  },
};

// Named, so that each connection parses and plans it once.
const insertBallot = {
  name: 'insert-ballot',
  text: `
    WITH counted AS (
      INSERT INTO ballots (poll, voter, territory, option) VALUES ($1, $2, $3, $4)
      ON CONFLICT DO NOTHING
      RETURNING 1)
    INSERT INTO tally AS present (poll, part, territory, option, votes)
    SELECT $1, $5, $3, $4, 1 FROM counted
    ON CONFLICT (poll, part, territory, option) DO UPDATE SET votes = present.votes + 1`,
};
const findBallot = {
  name: 'find-ballot',
  text: 'SELECT option FROM ballots WHERE poll = $1 AND voter = $2',
};
const findPoll = 'SELECT id, name, question, options FROM polls WHERE name = $1';

function problem(reply, status, code) {
  return reply
    .code(status)
    .type('application/problem+json')
    .send({ type: `urn:peer:problem:${code}`, status, code });
}

// Each connection adds to rows of its own: see ../postgres.sql.
function makePool(worker) {
  const pool = new Pool({
    host: settings.database,
    user: 'postgres',
    database: 'postgres',
    min: settings.connections,
    max: settings.connections,
    idleTimeoutMillis: 0,
  });
  let connected = 0;
  pool.on('connect', (client) => {
    client.part = worker * settings.connections + (connected++ % settings.connections);
  });
  return pool;
}

// One key signs the ballots' tokens, so `kid` has nothing to choose between.
function makeVerifier() {
  const issuer = JSON.parse(readFileSync(settings.keys, 'utf8'));
  const { key } = issuer.keys.find((each) => each.typ === 'vote+jwt');
  return createVerifier({
    key: Buffer.from(key, 'base64url'),
    algorithms: ['HS256'],
    checkTyp: 'vote+jwt',
    allowedIss: issuer.issuer,
    allowedAud: issuer.audience,
    requiredClaims: ['iat', 'exp', 'poll', 'sub', 'territory', 'lvl'],
    clockTolerance: 30_000,
  });
}

class Ballots {
  constructor(worker) {
    this.pool = makePool(worker);
    this.polls = new Map();
  }

  async poll(name) {
    if (!this.polls.has(name)) {
      const { rows } = await this.pool.query(findPoll, [name]);
      if (rows.length === 0) return undefined;
      this.polls.set(name, rows[0]);
    }
    return this.polls.get(name);
  }

  // 'accepted', 'recorded' or 'already-voted'
  async count(poll, voter, territory, option) {
    const client = await this.pool.connect();
    try {
      const values = [poll.id, voter, territory, option, client.part];
      if ((await client.query({ ...insertBallot, values })).rowCount === 1) return 'accepted';
      const { rows } = await client.query({ ...findBallot, values: [poll.id, voter] });
      return rows[0].option === option ? 'recorded' : 'already-voted';
    } finally {
      client.release();
    }
  }
}

// The same for the same ballot, and says nothing without the secret.
function receiptOf(poll, voter, option) {
  return createHmac('sha256', settings.receiptSecret)
    .update(`${poll.id} ${voter} ${option}`)
    .digest('base64url')
    .slice(0, 26);
}

// The claims of the bearer's token, or undefined.
function claimsOf(request, verify) {
  const header = request.headers.authorization;
  if (!header?.startsWith('Bearer ')) return undefined;
  try {
    return verify(header.slice('Bearer '.length));
  } catch {
    return undefined;
  }
}

function serve(worker) {
  const ballots = new Ballots(worker);
  const verify = makeVerifier();
  // Neither repairs a body: what does not fit the schema is refused.
  const app = fastify({ ajv: { customOptions: { removeAdditional: false, coerceTypes: false } } });
  const schema = { body: bodySchema, response: { 200: countedSchema, 201: countedSchema } };
  app.post('/v1/polls/:poll/ballots', { schema }, async (request, reply) => {
    const claims = claimsOf(request, verify);
    if (!claims) return problem(reply, 401, 'token-invalid');
    if (claims.poll !== request.params.poll) return problem(reply, 403, 'poll-mismatch');
    if (!(claims.lvl >= 3)) return problem(reply, 403, 'level-too-low');
    const poll = await ballots.poll(claims.poll);
    if (!poll) return problem(reply, 404, 'unknown-poll');
    const [answer] = request.body.answers;
    const option = poll.options.indexOf(answer.choices[0]) + 1;
    if (answer.question !== poll.question || option === 0)
      return problem(reply, 422, 'invalid-answer');
    const voter = Buffer.from(claims.sub, 'base64url').toString('hex', 0, 16);
    const outcome = await ballots.count(poll, voter, Number(claims.territory), option);
    if (outcome === 'already-voted') return problem(reply, 409, outcome);
    reply.code(outcome === 'accepted' ? 201 : 200);
    return { outcome, poll: poll.name, receipt: receiptOf(poll, voter, option) };
  });
  return app.listen({ host: settings.host, port: settings.port, backlog: 4096 });
}

if (cluster.isPrimary) {
  settings.receiptSecret = randomBytes(32).toString('hex');
  cluster.setupPrimary({ args: [JSON.stringify(settings)] });
  let listening = 0;
  cluster.on('listening', () => {
    if (++listening === settings.workers) console.log('ready');
  });
  // A worker that ends was not asked to: the measurement would be worth nothing.
  cluster.on('exit', () => process.exit(1));
  for (let worker = 0; worker < settings.workers; ++worker) cluster.fork({ WORKER: worker });
} else {
  serve(Number(process.env.WORKER)).catch((error) => {
    console.error(error);
    process.exit(1);
  });
}

-- Ballots and their tally, for bench/peers/postgres.py and bench/peers/node.py.

-- `voter` is the voter's pseudonym for the poll, 128 bits as in Veche; the key is the dedup.
CREATE TABLE ballots (
  poll int NOT NULL,
  voter uuid NOT NULL,
  territory int NOT NULL,
  option smallint NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (poll, voter)
);

-- One row for an option of a territory would make the ballots wait for each other: whoever adds to
-- it holds it until its commit is synced. So every connection has rows of its own (`part`), and a
-- reader sums them. Room in the pages keeps the new version of a row beside the old one, out of the
-- index.
CREATE TABLE tally (
  poll int NOT NULL,
  part smallint NOT NULL,
  territory int NOT NULL,
  option smallint NOT NULL,
  votes bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (poll, part, territory, option)
) WITH (fillfactor = 50);

-- The polls that are open, with their options in order.
CREATE TABLE polls (
  id int PRIMARY KEY,
  name text NOT NULL UNIQUE,
  question text NOT NULL,
  options text[] NOT NULL
);

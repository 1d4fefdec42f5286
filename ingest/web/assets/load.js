// Rates from sums: asks for the node's load once a second, and draws the last two minutes.
'use strict';
(() => {
  const EVERY_MS = 1000;
  const WAIT_MS = 3000;    // a connection that stands still shows as trouble
  const KEPT = 120;        // rates that are drawn
  const WINDOW = 10;       // samples behind the p99

  const texts = JSON.parse(document.body.dataset.texts);
  const samples = [];
  const rates = [];

  const number = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, texts.group);
  const one = (value) => value.toFixed(1).replace('.', texts.decimal);
  const by = (id) => document.getElementById(id);
  const write = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  // The upper bound of the bucket in which the slowest of a hundred ballots lies.
  function p99(before, now) {
    const counts = now.latency.map((bucket, i) => bucket.ballots - before.latency[i].ballots);
    const all = counts[counts.length - 1];
    if (all === 0) return texts.none;
    const { seconds } = now.latency[counts.findIndex((count) => count >= all * 0.99)];
    if (seconds === null) return '> 10 s';
    return seconds < 1 ? `${one(seconds * 1000)} ms` : `${one(seconds)} s`;
  }

  function draw() {
    const most = Math.max(...rates, 1);
    const x = (i) => 720 - ((rates.length - 1 - i) * 720) / (KEPT - 1);
    const y = (rate) => 156 - (144 * rate) / most;
    const line = rates.map((rate, i) => `${i ? 'L' : 'M'}${x(i).toFixed(1)} ${y(rate).toFixed(1)}`);
    const chart = by('recent');
    chart.hidden = rates.length < 2;
    chart.querySelector('.line').setAttribute('d', line.join(''));
    chart.querySelector('.area').setAttribute('d', `${line.join('')}L720 156L${x(0).toFixed(1)} 156Z`);
    write(by('recent-most'), number(most));
    if (!chart.querySelector('details').open) return;
    by('recent-rows').replaceChildren(...rates.map((rate, i) => {
      const row = document.createElement('tr');
      const moment = document.createElement('th');
      moment.scope = 'row';
      moment.textContent = `–${rates.length - 1 - i} s`;
      const cell = document.createElement('td');
      cell.className = 'n';
      cell.textContent = number(rate);
      row.append(moment, cell);
      return row;
    }).reverse());
  }

  function show(before, now) {
    const seconds = (now.at - before.at) / 1000;
    const rate = (value) => Math.max(value(now) - value(before), 0) / seconds;
    const accepted = rate((load) => load.ballots.accepted);
    rates.push(accepted);
    if (rates.length > KEPT) rates.shift();
    write(by('ballots-rate'), number(accepted));
    write(by('requests-rate'), number(rate((load) => load.requests)));
    write(by('cores'), one(rate((load) => load.cpu_seconds)));
    write(by('connections'), number(now.connections));
    write(by('readiness'), now.ready ? texts.ready : texts.not_ready);
    write(by('p99'), p99(samples[0], now));
    for (const row of document.querySelectorAll('[data-outcome]')) {
      const code = row.dataset.outcome;
      write(row.querySelector('.rate'), number(rate((load) => load.ballots[code])));
      write(row.querySelector('.sum'), number(now.ballots[code]));
    }
    draw();
  }

  async function ask() {
    try {
      const answer = await fetch('/load.json', { signal: AbortSignal.timeout(WAIT_MS) });
      if (!answer.ok) throw new Error(answer.status);
      const now = { at: performance.now(), ...(await answer.json()) };
      const before = samples[samples.length - 1];
      const restarted = before && now.requests < before.requests;
      if (restarted) samples.length = 0;
      samples.push(now);
      if (before && !restarted) show(before, now);
      if (samples.length > WINDOW) samples.shift();
      by('trouble').hidden = true;
    } catch {
      by('trouble').hidden = false;
    }
    setTimeout(ask, EVERY_MS);
  }

  ask();
})();

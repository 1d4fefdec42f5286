// What the pages gain from a script: numbers that follow the stream, times in the reader's zone,
// search and sort in the table of territories. All is there without it, as of the page's loading.
'use strict';
(() => {
  const TICK_MS = 1000;          // how often the server looks for news, by default
  const QUIET_MS = 60000;        // then the stream is opened anew: it may be dead without a word
  const ANNOUNCE_MS = 10000;
  const STALL_MS = 8000;         // the server asks for up to 5 s before one comes back
  const STALE_MS = 5000;         // a stream opened again so much later has newer numbers
  const STALE_AGAIN_MS = 10000;
  const RELOAD_MS = 2000;        // thousands of readers spread over it
  const RELOAD_MOST_MS = 30000;

  const texts = JSON.parse(document.body.dataset.texts);
  const russian = document.documentElement.lang === 'ru';
  const locale = russian ? 'ru' : 'en-GB';

  // --- As ingest/web/texts.cc writes them ---

  const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, texts.group);
  const tenths = (part, whole) => (whole ? Math.floor((2000 * part + whole) / (2 * whole)) : 0);
  const decimal = (value, point) => `${Math.floor(value / 10)}${point}${value % 10}`;
  const share = (part, whole) =>
    whole ? decimal(tenths(part, whole), texts.decimal) + texts.percent : texts.none;
  const fill = (text, ...values) => text.replace(/{}/g, () => values.shift());
  const fold = (text) => text.toLowerCase().replace(/ё/g, 'е');

  function counted(count) {
    const forms = texts.ballots;
    const tens = count % 100;
    const ones = count % 10;
    let form = count === 1 ? 0 : 1;
    if (russian)
      form = (tens >= 11 && tens <= 14) || ones === 0 || ones > 4 ? 2 : ones === 1 ? 0 : 1;
    return `${number(count)}\u00a0${forms[form]}`;
  }

  // Only what changed is written, or a reader's selection would be lost every second.
  function write(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  // --- Times ---

  const day = { day: 'numeric', month: 'long', year: 'numeric' };
  const minute = { hour: '2-digit', minute: '2-digit', timeZoneName: 'short' };
  const second = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  const whole = new Intl.DateTimeFormat(locale, { ...day, ...minute });
  const clock = new Intl.DateTimeFormat(locale, second);

  function showTimes(root) {
    for (const time of root.querySelectorAll('time')) {
      const moves = root.dataset.stream && time.closest('.fresh');
      write(time, (moves ? clock : whole).format(new Date(time.dateTime)));
    }
  }

  // --- The table of territories ---

  function valueOf(cell) {
    if (cell.tagName === 'TH') return fold(cell.textContent);
    const digits = cell.textContent.replace(/\D/g, '');
    return digits === '' ? -1 : Number(digits);
  }

  function compare(a, b) {
    return typeof a === 'string' ? a.localeCompare(b, locale) : a - b;
  }

  // Up, down, and back to the order of the tree.
  function nextOrder(order) {
    return order === 'ascending' ? 'descending' : order === 'descending' ? null : 'ascending';
  }

  function sortBy(table, rows, header) {
    const order = nextOrder(header.getAttribute('aria-sort'));
    for (const other of header.parentNode.children) other.removeAttribute('aria-sort');
    const sorted = [...rows];
    if (order) {
      header.setAttribute('aria-sort', order);
      const sign = order === 'ascending' ? 1 : -1;
      const value = new Map(rows.map((row) => [row, valueOf(row.children[header.cellIndex])]));
      sorted.sort((a, b) => sign * compare(value.get(a), value.get(b)));
    }
    table.classList.toggle('sorted', order !== null);
    table.tBodies[0].append(...sorted);
  }

  function makeSortable(table, rows) {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...header.childNodes);
      button.addEventListener('click', () => sortBy(table, rows, header));
      header.append(button);
    }
  }

  function makeSearchable(main, rows) {
    const form = main.querySelector('.search');
    if ('cut' in form.dataset) return;  // the server left rows out, and finds them
    const found = main.querySelector('.found');
    const names = rows.map((row) => fold(row.cells[0].textContent));
    let telling;
    const search = () => {
      const wanted = fold(form.elements.q.value.trim());
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !names[i].includes(wanted);
        if (!row.hidden) ++shown;
      });
      clearTimeout(telling);  // once for a word, not for each letter
      telling = setTimeout(() => write(found, !wanted ? '' : !shown ? texts.none_found
        : fill(texts.found, number(shown), number(rows.length))), 300);
    };
    form.addEventListener('input', search);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      search();
    });
  }

  function enhanceTable(main) {
    const table = main.querySelector('.places');
    if (!table) return;
    const rows = [...table.tBodies[0].rows];
    makeSortable(table, rows);
    makeSearchable(main, rows);
  }

  // --- Numbers ---

  // Of all points where a question counts them, else of the ballots.
  function measureOf(counts, options, option) {
    if (!('points' in option)) return { part: option.votes, whole: counts.ballots };
    return { part: option.points, whole: options.reduce((sum, one) => sum + one.points, 0) };
  }

  function showQuestions(main, counts) {
    for (const table of main.querySelectorAll('.bars')) {
      const { options } = counts.questions[table.dataset.question];
      for (const row of table.tBodies[0].rows) {
        const option = options[row.dataset.option];
        const { part, whole: all } = measureOf(counts, options, option);
        row.querySelector('.fill').setAttribute('width', `${decimal(tenths(part, all), '.')}%`);
        write(row.querySelector('.share'), share(part, all));
        write(row.querySelector('.points'), number(part));
        write(row.querySelector('.votes'), number(option.votes));
      }
    }
  }

  function showFigure(main, ballots) {
    const figure = main.querySelector('#turnout-figure');
    if (!figure || ballots === null || ballots === undefined) return;
    const { least } = figure.dataset;  // 0 says only that it is below
    const told = ballots > 0 || !least;
    write(figure, told ? number(ballots) : fill(texts.fewer, number(least)));
    const expected = main.querySelector('.expected');
    if (expected) {
      const voters = Number(expected.dataset.expected);
      write(expected, told ? fill(texts.expected, share(ballots, voters), number(voters)) : '');
    }
    if (ballots > 0) main.querySelector('.notice.empty')?.remove();
  }

  function reason(suppressed) {
    return { 'in-group': texts.in_group, 'too-few': texts.not_shown }[suppressed] ?? texts.not_yet;
  }

  function showGroups(main, groups) {
    for (const item of main.querySelectorAll('[data-group]')) {
      const group = groups[item.dataset.group];
      if (!group) continue;
      const hidden = group.ballots === null;
      write(item.querySelector('.b'), hidden ? reason(group.suppressed) : counted(group.ballots));
      const each = item.querySelector('.each');
      if (!each) continue;
      each.hidden = hidden;
      const { options } = group.questions[0];
      each.querySelectorAll('.o').forEach((cell, i) =>
        write(cell, hidden ? '' : number(measureOf(group, options, options[i]).part)));
    }
  }

  function showNotBelow(main, ballots) {
    const hint = main.querySelector('#not-below');
    if (!hint || ballots === undefined) return;
    hint.hidden = !ballots;
    write(hint, ballots ? fill(texts.not_below, number(ballots)) : '');
  }

  function showRow(row, territory) {
    const hidden = territory.ballots === null;
    const cell = row.querySelector('.b');
    cell.classList.toggle('why', hidden);
    write(cell, hidden ? reason(territory.suppressed) : number(territory.ballots));
    const turnout = row.querySelector('.t');
    if (turnout && turnout.dataset.expected)
      write(turnout, share(hidden ? 0 : territory.ballots, hidden ? 0 : +turnout.dataset.expected));
    const { options } = territory.questions[0];
    row.querySelectorAll('.o').forEach((share_cell, i) => {
      if (hidden) return write(share_cell, texts.none);
      const { part, whole: all } = measureOf(territory, options, options[i]);
      write(share_cell, share(part, all));
    });
  }

  // --- The stream ---

  class Live {
    constructor(main) {
      this.main = main;
      this.fresh = main.querySelector('.fresh');
      this.button = main.querySelector('.pause');
      this.paused = false;
      this.heard = performance.now();
      this.announced = performance.now();
      this.wide = 'territory' in main.dataset;
      this.listeners = new AbortController();
      if (this.button) {
        this.button.hidden = false;
        this.button.addEventListener('click', () => this.pause(!this.paused));
      }
      this.watchTable();
      document.addEventListener('visibilitychange', () => this.follow(),
                                { signal: this.listeners.signal });
      this.age = setInterval(() => this.showAge(), 1000);
      this.follow();
    }

    end() {
      this.close();
      clearInterval(this.age);
      clearTimeout(this.announcing);
      this.observer?.disconnect();
      this.listeners.abort();
    }

    // Rows of hundreds of territories are asked for only while somebody looks at them.
    watchTable() {
      const section = this.main.querySelector('.territories');
      if (this.wide || !section || !this.main.dataset.wide) return;
      const seen = new Set();
      this.observer = new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries)
          seen[isIntersecting ? 'add' : 'delete'](target);
        if (this.wide === seen.size > 0) return;
        this.wide = seen.size > 0;
        this.follow();
      });
      for (const part of this.main.querySelectorAll('.territories, .groups'))
        this.observer.observe(part);
    }

    pause(paused) {
      this.paused = paused;
      this.button.setAttribute('aria-pressed', paused);
      this.follow();
    }

    close() {
      this.source?.close();
      this.source = null;
      clearTimeout(this.retry);
      clearTimeout(this.stall);
      clearTimeout(this.quiet);
      this.stall = null;
    }

    // Opens the stream that fits what the reader does, or none.
    follow() {
      this.close();
      if (this.paused) return this.show('paused');
      if (document.hidden) return;
      this.lost();
      const url = (this.wide && this.main.dataset.wide) || this.main.dataset.stream;
      this.source = new EventSource(url);
      this.source.onerror = () => this.onError();
      for (const kind of ['snapshot', 'totals', 'territories', 'state', 'hidden', 'bye'])
        this.source.addEventListener(kind, (event) => this.hear(kind, event.data));
      this.waitForNews();
    }

    waitForNews(quiet = QUIET_MS) {
      clearTimeout(this.quiet);
      this.quiet = setTimeout(() => this.follow(), quiet * (1 + Math.random() / 4));
    }

    // A browser goes on by itself after a lost connection, but not after a refusal.
    onError() {
      this.lost();
      if (this.source.readyState !== EventSource.CLOSED) return;
      this.retry = setTimeout(() => this.follow(), 3 * TICK_MS * (1 + Math.random()));
    }

    // What is short nobody need be told.
    lost() {
      if (this.status === 'stalled' || this.stall) return;
      if (!this.status) this.show('connecting');
      this.stall = setTimeout(() => this.show('stalled'), STALL_MS);
    }

    hear(kind, text) {
      if (kind === 'bye') return;
      const data = text ? JSON.parse(text) : {};
      clearTimeout(this.stall);
      this.stall = null;
      if (kind === 'snapshot' && this.isStale(data)) {
        this.waitForNews(STALE_AGAIN_MS);
        return this.show('stalled');
      }
      this.waitForNews();
      this.heard = performance.now();
      if (data.as_of) this.known = { as_of: data.as_of, at: this.heard };
      this.show('live');
      this.take(kind, data);
    }

    // Exact counts are as of the moment of asking, while the server follows its log. One that is cut
    // off from it still answers.
    isStale(data) {
      return Boolean(data.partition_ballots) && data.as_of === this.known?.as_of &&
        performance.now() - this.known.at > STALE_MS;
    }

    take(kind, data) {
      const shown = this.main.dataset;
      if ('state' in data && data.state !== shown.state) return reload();
      if ('final' in data && String(data.final) !== shown.final) return reload();
      if (kind === 'hidden' && shown.shown === 'true') return reload();
      if (kind === 'state' || kind === 'hidden') return;
      if (shown.state === 'scheduled') return;  // zeros of a poll that nobody could vote in
      const own = shown.territory
        ? data.territories?.find((one) => one.code === shown.territory) : data;
      if (own && 'ballots' in own) this.takeCounts(own, data);
      if (data.territories) this.takeRows(data.territories);
      if (data.groups) showGroups(this.main, data.groups);
      if (data.as_of) this.takeTime(data);
    }

    takeCounts(own, data) {
      if ((own.ballots !== null) !== (this.main.dataset.shown === 'true')) return reload();
      showFigure(this.main, own === data ? data.turnout : own.ballots);
      if (own.ballots === null) return;
      showQuestions(this.main, own);
      showNotBelow(this.main, own.not_below);
      this.announce(own.ballots);
    }

    takeRows(territories) {
      const rows = new Map([...this.main.querySelectorAll('.places tbody tr')]
        .map((row) => [row.dataset.code, row]));
      for (const territory of territories) {
        const row = rows.get(territory.code);
        if (row) showRow(row, territory);
      }
    }

    takeTime(data) {
      const time = this.fresh?.querySelector('time');
      if (time) time.dateTime = data.as_of;
      if (time) write(time, clock.format(new Date(data.as_of)));
      write(this.main.querySelector('#version'), data.version);
    }

    // Not too often, but the last number always.
    announce(ballots) {
      this.told ??= ballots;
      this.newest = ballots;
      if (ballots === this.told || this.announcing) return;
      this.announcing = setTimeout(() => {
        this.announcing = null;
        if (this.paused || this.newest === this.told) return;
        write(document.getElementById('news'), fill(texts.announcement, counted(this.newest)));
        this.told = this.newest;
        this.announced = performance.now();
      }, Math.max(0, this.announced + ANNOUNCE_MS - performance.now()));
    }

    show(status) {
      this.status = status;
      if (!this.fresh) return;
      this.fresh.dataset.status = status;
      write(this.fresh.querySelector('.word'), texts[status]);
      this.showAge();
    }

    showAge() {
      const seconds = Math.floor((performance.now() - this.heard) / 1000);
      const age = seconds < 60 ? fill(texts.seconds, seconds)
        : seconds < 3600 ? fill(texts.minutes, Math.floor(seconds / 60))
          : fill(texts.hours, Math.floor(seconds / 3600));
      write(this.fresh?.querySelector('.age'), seconds < 2 && this.status === 'live' ? '' : age);
    }
  }

  // --- The page ---

  let live;
  let reloading;
  let wait = 0;  // the last one's, doubled after each failure

  function start() {
    const main = document.getElementById('main');
    showTimes(main);
    enhanceTable(main);
    live = main.dataset.stream ? new Live(main) : null;
  }

  // Where to find an element again in another page of the same poll.
  function placeOf(element) {
    if (!element?.closest('main') || element.id === 'main') return null;
    const header = element.closest('.places thead th');
    if (header) return `.places th:nth-child(${header.cellIndex + 1}) button`;
    if (element.id) return `#${element.id}`;
    if (element.form) return '.search button';
    if (element.href) return `main a[href="${CSS.escape(element.getAttribute('href'))}"]`;
    return element.className ? `.${element.classList[0]}` : element.localName;
  }

  // What the reader did to the page.
  function remember(main) {
    const sorted = main.querySelector('.places [aria-sort]');
    return {
      search: main.querySelector('#find')?.value,
      sorted: sorted && { column: sorted.cellIndex, order: sorted.getAttribute('aria-sort') },
      open: Boolean(main.querySelector('details')?.open),
      focus: placeOf(document.activeElement),
    };
  }

  function restore(main, { search, sorted, open, focus }) {
    const find = main.querySelector('#find');
    if (find && search !== undefined && search !== find.value) {
      find.value = search;
      find.dispatchEvent(new Event('input', { bubbles: true }));
    }
    const button = sorted && main.querySelectorAll('.places thead button')[sorted.column];
    for (let presses = sorted?.order === 'descending' ? 2 : 1; button && presses > 0; --presses)
      button.click();
    const details = main.querySelector('details');
    if (details) details.open = open;
    if (focus) main.ownerDocument.querySelector(focus)?.focus({ preventScroll: true });
  }

  async function exchange() {
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (live?.paused) return;  // the stream tells again when the reader goes on
    live?.end();
    const main = document.getElementById('main');
    const before = remember(main);
    document.title = page.title;
    main.replaceWith(page.getElementById('main'));
    start();
    restore(document.getElementById('main'), before);
  }

  // The server alone makes pages of states: the script only puts the new one in place. A change
  // reaches all readers in one moment; they come for the page one after another.
  function reload() {
    if (reloading) return;
    reloading = setTimeout(async () => {
      let failed = false;
      try {
        if (!live?.paused) await exchange();
        wait = 0;
      } catch {
        failed = true;
        wait = Math.min(RELOAD_MOST_MS, 2 * Math.max(wait, RELOAD_MS / 2));
      }
      reloading = null;
      if (failed) reload();
    }, Math.max(wait, reload.before ? RELOAD_MS : 0) + Math.random() * (wait || RELOAD_MS));
    reload.before = true;
  }

  start();
})();

// The atlas: columns of small integers, filtered and sorted in place, of which only the rows in
// sight are in the document. The address holds the state: #atlas?model=...&sort=-auroc.

class Column {
  /** `about` is an entry of #atlas-about; `cells` are `value - lowest + 1`, 0 where missing. */
  constructor(about, cells) {
    Object.assign(this, about, { cells });
  }

  /** A cell as it is shown. */
  text(row) {
    const stored = this.cells[row];
    if (!stored) return "-";
    const value = stored - 1 + this.lowest;
    if (this.words) return this.words[value];
    return this.decimals ? fixed(value, this.decimals) : String(value);
  }

  /** The integer that stands for a word or a number in `cells`; undefined where there is none. */
  code(words) {
    const value = this.words ? this.words.indexOf(words) : Number(words);
    return this.words && value < 0 ? undefined : value - this.lowest + 1;
  }

  /** What can be filtered for. */
  choices() {
    if (this.words) return this.words;
    const present = new Set(this.cells);
    present.delete(0);
    return [...present].sort((a, b) => a - b).map((code) => String(code - 1 + this.lowest));
  }
}

/** A whole multiple of 10^-decimals, written without the errors of binary fractions. */
function fixed(whole, decimals) {
  const digits = String(Math.abs(whole)).padStart(decimals + 1, "0");
  const sign = whole < 0 ? "-" : "";
  return `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

/** A column, unpacked chunk by chunk; the browser may draw in between. */
async function unpackColumn(about, number, rows) {
  const kind = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[about.width];
  const cells = new kind(rows);
  let start = 0;
  for (let chunk = 0; chunk < about.chunks; chunk++) {
    const bytes = await unpackBytes(document.getElementById(`atlas-${number}-${chunk}`).textContent);
    const length = bytes.length / about.width;
    for (let plane = 0; plane < about.width; plane++) {
      const shift = 8 * plane, from = plane * length;
      for (let n = 0; n < length; n++) cells[start + n] |= bytes[from + n] << shift;
    }
    start += length;
  }
  return new Column(about, cells);
}

/** `rows` in the order of a column: a counting sort, which keeps equal rows in their order. */
function sortRows(rows, column, descending) {
  const { cells } = column;
  const passes = column.width > 2 ? 2 : 1;
  let order = rows;
  for (let pass = 0; pass < passes; pass++) {
    const key = (row) => (cells[row] >>> (16 * pass)) & 0xffff;
    const starts = new Uint32Array(65537);
    for (const row of order) starts[key(row) + 1]++;
    for (let n = 0; n < 65536; n++) starts[n + 1] += starts[n];
    const sorted = new Uint32Array(order.length);
    for (const row of order) sorted[starts[key(row)]++] = row;
    order = sorted;
  }
  if (!descending) return order;
  const missing = order.findIndex((row) => cells[row] > 0);
  const present = order.subarray(missing < 0 ? order.length : missing).slice().reverse();
  const turned = new Uint32Array(order.length);
  turned.set(present);
  turned.set(order.subarray(0, order.length - present.length), present.length);
  return turned;
}

class Atlas {
  constructor(root, about, columns) {
    this.root = root;
    this.columns = columns;
    this.rows = about.rows;
    this.form = root.querySelector("form");
    this.status = root.querySelector(".status");
    this.viewport = root.querySelector(".viewport");
    this.table = root.querySelector("table");
    this.head = this.table.tHead;
    this.body = this.table.tBodies[0];
    this.sort = null;
    this.first = 0;
    this.top = 0;
    this.fill();
    this.listen();
    this.restore();
  }

  column(name) {
    return this.columns.find((column) => column.name === name);
  }

  get selects() {
    return [...this.form.querySelectorAll("select")];
  }

  fill() {
    for (const select of this.selects) {
      for (const choice of this.column(select.name).choices()) {
        select.append(make("option", { value: choice }, choice.replaceAll("_", " ")));
      }
    }
    for (const control of this.form.elements) control.disabled = false;
    const line = this.head.insertRow();
    for (const column of this.columns) {
      const cell = make("th", { scope: "col" });
      const button = make("button", { type: "button" }, column.title);
      button.addEventListener("click", () => this.sortBy(column.name));
      cell.append(button);
      line.append(cell);
    }
  }

  listen() {
    this.form.addEventListener("change", () => this.update());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("reset", () => setTimeout(() => {
      this.sort = null;
      this.update();
    }));
    this.form.querySelector(".copy").addEventListener("click", () => this.copyLink());
    this.form.querySelector(".save").addEventListener("click", () => this.save());
    this.viewport.addEventListener("scroll", () => this.scrolled());
    addEventListener("hashchange", () => this.restore());
    addEventListener("resize", () => this.show());
  }

  sortBy(name) {
    const { sort } = this;
    if (sort?.name === name) this.sort = sort.descending ? { name, descending: false } : null;
    else this.sort = { name, descending: true };
    this.update();
  }

  /** The state that the address holds. */
  restore() {
    if (!location.hash.startsWith("#atlas?")) {
      if (!this.order) this.apply();
      return;
    }
    const state = new URLSearchParams(location.hash.slice("#atlas?".length));
    for (const select of this.selects) {
      const wanted = state.get(select.name) ?? "";
      select.value = [...select.options].some((option) => option.value === wanted) ? wanted : "";
    }
    const sort = state.get("sort") ?? "";
    const name = sort.replace(/^-/, "");
    this.sort = this.column(name) ? { name, descending: sort.startsWith("-") } : null;
    this.apply();
  }

  /** The address of what is seen. */
  link() {
    const state = new URLSearchParams();
    for (const select of this.selects) if (select.value) state.set(select.name, select.value);
    if (this.sort) state.set("sort", (this.sort.descending ? "-" : "") + this.sort.name);
    return `#atlas?${state}`;
  }

  update() {
    history.replaceState(null, "", this.link());
    this.apply();
  }

  /** Filters and sorts. */
  apply() {
    let count = this.rows;
    let order = new Uint32Array(count);
    for (let n = 0; n < count; n++) order[n] = n;
    for (const select of this.selects) {
      if (!select.value) continue;
      const column = this.column(select.name);
      const code = column.code(select.value), { cells } = column;
      let kept = 0;
      for (let n = 0; n < count; n++) if (cells[order[n]] === code) order[kept++] = order[n];
      count = kept;
    }
    order = order.subarray(0, count);
    if (this.sort) order = sortRows(order, this.column(this.sort.name), this.sort.descending);
    this.order = order;
    this.first = 0;
    this.top = 0;
    this.viewport.scrollTop = 0;
    this.columns.forEach((column, n) => {
      const cell = this.head.rows[0].cells[n];
      const sorted = this.sort?.name === column.name;
      if (sorted) cell.setAttribute("aria-sort", this.sort.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    this.status.textContent = `${count.toLocaleString("en")} of ${this.rows.toLocaleString("en")} cells`;
    this.show();
  }

  /** Elements cannot be higher than some millions of pixels: beyond, scrolling is relative. */
  get height() {
    return Math.min(this.order.length * this.rowHeight, 4e6);
  }

  scrolled() {
    const top = this.viewport.scrollTop;
    const moved = top - this.top;
    const seen = this.viewport.clientHeight;
    const end = Math.max(0, this.order.length - this.shown);
    const furthest = this.height + this.headHeight - seen;
    if (Math.abs(moved) > 3 * seen || top <= 0 || top >= furthest - 1) {
      this.first = furthest > 0 ? Math.round((top / furthest) * end) : 0;
    } else {
      this.first += moved / this.rowHeight;
    }
    this.first = Math.min(Math.max(this.first, 0), end);
    this.top = top;
    this.show();
  }

  get rowHeight() {
    return this.measured ?? 26;
  }

  get headHeight() {
    return this.head.offsetHeight;
  }

  get shown() {
    return Math.ceil(Math.max(this.viewport.clientHeight - this.headHeight, 0) / this.rowHeight);
  }

  /** Puts the rows in sight into the document, between two spacers. */
  show() {
    if (!this.order) return;
    const start = Math.floor(this.first);
    const stop = Math.min(start + this.shown + 1, this.order.length);
    const above = Math.min(this.viewport.scrollTop, Math.max(0, this.height - (stop - start) * this.rowHeight));
    const lines = [this.spacer(above)];
    for (let n = start; n < stop; n++) {
      const line = make("tr", { "aria-rowindex": String(n + 2) });
      this.columns.forEach((column, place) => {
        const attributes = column.words ? {} : { class: "numeric" };
        const words = column.text(this.order[n]);
        line.append(place ? make("td", attributes, words) : make("th", { scope: "row" }, words));
      });
      lines.push(line);
    }
    lines.push(this.spacer(Math.max(0, this.height - above - (stop - start) * this.rowHeight)));
    this.table.setAttribute("aria-rowcount", String(this.order.length + 1));
    this.body.replaceChildren(...lines);
    const sample = this.body.rows[1];
    if (!this.measured && sample?.offsetHeight && stop > start) {
      this.measured = sample.offsetHeight;
      this.show();
    }
  }

  spacer(height) {
    const line = make("tr", { class: "spacer", "aria-hidden": "true" });
    const cell = make("td", { colspan: String(this.columns.length) });
    cell.style.height = `${height}px`;
    line.append(cell);
    return line;
  }

  async copyLink() {
    const address = location.href.split("#")[0] + this.link();
    try {
      await navigator.clipboard.writeText(address);
      this.status.textContent = "Link copied.";
    } catch {
      history.replaceState(null, "", this.link());
      this.status.textContent = "The link stands in the address bar.";
    }
  }

  /** The filtered rows as a file. */
  save() {
    const quoted = (words) => `"${words.replaceAll('"', '""')}"`;
    const lines = [this.columns.map((column) => column.name).join(",")];
    for (const row of this.order) {
      lines.push(this.columns.map((column) => {
        const words = column.cells[row] ? column.text(row) : "";
        return column.words ? quoted(words) : words;
      }).join(","));
    }
    const link = make("a", { download: "atlas.csv" });
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}

/** Unpacks the atlas once. */
async function startAtlas(root) {
  if (root.dataset.started) return;
  root.dataset.started = "yes";
  const about = JSON.parse(document.getElementById("atlas-about").textContent);
  const columns = [];
  for (const [number, column] of about.columns.entries()) {
    root.querySelector(".status").textContent = `Unpacking ${number + 1} of ${about.columns.length} columns`;
    columns.push(await unpackColumn(column, number, about.rows));
    await new Promise((resolve) => setTimeout(resolve));
  }
  new Atlas(root, about, columns);
}

const atlasRoot = document.getElementById("atlas-table");
if (atlasRoot) {
  afterPaint(() => {
    whenNear([atlasRoot], startAtlas);
    const toAtlas = () => {
      if (!location.hash.startsWith("#atlas?")) return;
      document.getElementById("atlas").scrollIntoView();
      startAtlas(atlasRoot);
    };
    addEventListener("hashchange", toAtlas);
    toAtlas();
  });
}

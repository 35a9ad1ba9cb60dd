// The query explorer: one page, no library, nothing from another origin.
// Who signs in is kept in this page's memory only, and gone when it is left. Text from the server is shown as text, never HTML.
"use strict";

const $ = (id) => document.getElementById(id);
const RESULTS_MAX = 200;

const EXAMPLES = {
  "Newest inspections": [`query Newest($filter: InspectionFilter) {
  inspections(first: 10, filter: $filter) {
    position
    pageInfo { hasNextPage endCursor }
    nodes {
      id lot part station state judgement defectCount judgedAt
      rules { text }
    }
  }
}`, { filter: {} }],
  "One inspection with everything": [`query Inspection($id: ID!) {
  inspection(id: $id) {
    id lot part station state judgement version position
    recipe { revision failAt reviewAt }
    defects { number class confidence grade box { x y width height } }
    artifacts { id state mediaType sha256 url totalMs modelVersion }
    timeline { sequence position eventType occurredAt actor }
    report { id url }
  }
}`, { id: "" }],
  "Defects by class (Pareto)": [`query Pareto($filter: DefectFilter) {
  defectPareto(filter: $filter) {
    formula total
    classes { class count share cumulativeShare }
  }
}`, { filter: {} }],
  "Yield per hour": [`query Yield($filter: YieldFilter) {
  yieldSeries(filter: $filter) {
    formula numerator denominator value
    buckets { hour numerator denominator value review failed defects }
  }
}`, { filter: {} }],
  "Reports": [`{
  reports(first: 10) {
    nodes { id judgement lot part station defectCount judgedAt url }
  }
}`, {}],
  "Parts": [`{
  parts {
    nodes { part goldenRevision recipe { failAt reviewAt } }
  }
}`, {}],
  "A part's recipes and golden samples": [`query Part($part: String!) {
  recipeRevisions(part: $part, first: 20) { nodes { revision revisedAt actor reason } }
  goldenSamples(part: $part, first: 20) { nodes { revision use view reason url } }
}`, { part: "PCB-1" }],
  "Read models": [`{
  projections {
    name status generation position head lagEvents lagSeconds
    parkedStreams { aggregateType aggregateId eventType error events }
  }
}`, {}],
  "Live: what happens (subscription)": [`subscription Changes($from: Position, $filter: InspectionFilter) {
  inspectionChanged(from: $from, filter: $filter) {
    position cursor
    change {
      eventType inspectionId
      inspection { lot part station state judgement defectCount }
    }
  }
}`, { from: null, filter: {} }],
};

let schema = null;
let running = null;

// --- signing in --------------------------------------------------------------------------------

// So long before its end a token is replaced.
const RENEW_BEFORE_MS = 60_000;
// Who signed in: the form that was sent, the token for it, and when to ask for the next.
let session = null;
let renewal = null;

async function requestToken(form) {
  const asked = Date.now();
  const answer = await fetch("/v1/token", { method: "POST", body: new URLSearchParams(form) });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.error_description || json.detail || json.error || `HTTP ${answer.status}`);
  const lasts = json.expires_in * 1000;
  session = { form, token: json.access_token, renewAt: asked + Math.max(lasts - RENEW_BEFORE_MS, lasts / 2) };
}

/** The token to send: of who signed in, renewed in time, or the one that was pasted. */
async function token() {
  if (!session) return $("token").value.trim().replace(/^bearer\s+/i, "");
  if (Date.now() >= session.renewAt) {
    renewal ??= requestToken(session.form).finally(() => (renewal = null));
    await renewal;
  }
  return session ? session.token : "";
}

async function signIn(event) {
  event.preventDefault();
  const name = $("user").value.trim();
  const secret = $("password").value;
  const form = $("kind").value === "client"
    ? { grant_type: "client_credentials", client_id: name, client_secret: secret }
    : { grant_type: "password", username: name, password: secret };
  try {
    await requestToken(form);
    $("password").value = "";
    $("token").value = "";
    showSession(`signed in as ${name}`, "good");
    loadSchema();
  } catch (error) {
    showSession(`no token: ${error.message}`, "bad");
  }
}

function signOut() {
  session = null;
  $("token").value = "";
  showSession("not signed in", "");
}

function useToken() {
  session = null;
  const given = Boolean($("token").value.trim());
  showSession(given ? "token given" : "not signed in", given ? "good" : "");
  if (given) loadSchema();
}

function showSession(text, style) {
  say($("who"), text, style);
  $("signout").hidden = !session;
}

function showKind() {
  const isClient = $("kind").value === "client";
  for (const [id, text] of [["user", isClient ? "client_id" : "user"], ["password", isClient ? "client_secret" : "password"]]) {
    $(id).placeholder = text;
    $(id).setAttribute("aria-label", text);
  }
}

// --- running -----------------------------------------------------------------------------------

async function post(request) {
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${await token()}` },
    body: JSON.stringify(request),
  });
  return { status: answer.status, json: await answer.json() };
}

function request() {
  const text = $("variables").value.trim();
  return { query: $("query").value, variables: text ? JSON.parse(text) : {} };
}

async function run() {
  stop();
  remember();
  $("result").textContent = "";
  let asked;
  try {
    asked = request();
  } catch (error) {
    say($("status"), `the variables are not JSON: ${error.message}`, "bad");
    return;
  }
  if (/^\s*(#[^\n]*\n\s*)*subscription\b/.test(asked.query)) {
    follow(asked);
    return;
  }
  say($("status"), "running…", "");
  const begun = performance.now();
  try {
    const { status, json } = await post(asked);
    const failed = status !== 200 || json.errors;
    say($("status"), `${status} · ${Math.round(performance.now() - begun)} ms`, failed ? "bad" : "good");
    $("result").textContent = JSON.stringify(json, null, 2);
  } catch (error) {
    say($("status"), `no answer: ${error.message}`, "bad");
  }
}

/** A subscription over graphql-transport-ws. It ends with its token; the cursor of the last item says where to go on. */
async function follow(asked) {
  let authorization;
  try {
    authorization = `Bearer ${await token()}`;
  } catch (error) {
    say($("status"), `no token: ${error.message}`, "bad");
    return;
  }
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql/ws`;
  const socket = new WebSocket(url, "graphql-transport-ws");
  running = { socket };
  $("stop").hidden = false;
  let items = 0;
  const show = (value) => {
    const lines = [JSON.stringify(value, null, 2), ...$("result").textContent.split("\n\n")];
    $("result").textContent = lines.slice(0, RESULTS_MAX).join("\n\n");
  };
  const send = (message) => socket.send(JSON.stringify(message));
  say($("status"), "connecting…", "");
  socket.onopen = () => send({ type: "connection_init", payload: { Authorization: authorization } });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case "connection_ack":
        say($("status"), "waiting for events…", "good");
        send({ type: "subscribe", id: "1", payload: asked });
        break;
      case "ping":
        send({ type: "pong" });
        break;
      case "next":
        items += 1;
        say($("status"), `${items} items`, "good");
        show(message.payload);
        break;
      case "error":
        say($("status"), "ended with an error", "bad");
        show({ errors: message.payload });
        socket.close(1000);
        break;
      case "complete":
        say($("status"), `complete after ${items} items`, "");
        socket.close(1000);
        break;
    }
  };
  socket.onclose = ({ code, reason }) => {
    if (code !== 1000) say($("status"), `closed: ${code} ${reason}`, "bad");
    $("stop").hidden = true;
    if (running && running.socket === socket) running = null;
  };
}

function stop() {
  if (!running) return;
  running.socket.close(1000);
  running = null;
  say($("status"), "stopped", "");
}

// --- schema ------------------------------------------------------------------------------------

const TYPE = (depth) => (depth ? `kind name ofType { ${TYPE(depth - 1)} }` : "kind name");
const INTROSPECTION = `{ __schema {
  queryType { name } subscriptionType { name }
  types { kind name description
    fields { name description args { name description type { ${TYPE(4)} } defaultValue } type { ${TYPE(4)} } }
    inputFields { name description type { ${TYPE(4)} } }
    enumValues { name description } } } }`;

async function loadSchema() {
  try {
    const { json } = await post({ query: INTROSPECTION });
    if (!json.data) throw new Error(json.detail || (json.errors && json.errors[0].message) || "no schema");
    const found = json.data.__schema;
    const types = found.types.filter((type) => !type.name.startsWith("__"));
    schema = { roots: [found.queryType.name, found.subscriptionType.name], types: new Map(types.map((t) => [t.name, t])) };
    showRoots();
  } catch (error) {
    $("docs").replaceChildren(element("p", "bad", error.message));
  }
}

const printed = (type) =>
  type.kind === "NON_NULL" ? `${printed(type.ofType)}!` : type.kind === "LIST" ? `[${printed(type.ofType)}]` : type.name;
const bare = (type) => (type.ofType ? bare(type.ofType) : type.name);

function element(tag, style, text) {
  const made = document.createElement(tag);
  if (style) made.className = style;
  if (text !== undefined && text !== null) made.textContent = text;
  return made;
}

function typeLink(type) {
  const link = element("button", "link", typeof type === "string" ? type : printed(type));
  link.onclick = () => showType(typeof type === "string" ? type : bare(type));
  return link;
}

function line(field) {
  const text = element("p", "field");
  text.append(field.name);
  const args = field.args || [];
  if (args.length) {
    text.append("(");
    args.forEach((arg, n) => text.append(n ? ", " : "", `${arg.name}: `, typeLink(arg.type)));
    text.append(")");
  }
  if (field.type) text.append(": ", typeLink(field.type));
  return text;
}

function showRoots() {
  const docs = $("docs");
  docs.replaceChildren(element("h2", "", "Schema"));
  $("trail").replaceChildren();
  for (const root of schema.roots) {
    docs.append(element("h3", "", root));
    for (const field of schema.types.get(root).fields) {
      docs.append(line(field), element("p", "", field.description));
    }
  }
}

function showType(name) {
  const type = schema.types.get(name);
  if (!type) return;
  const home = element("button", "link", "Schema");
  home.onclick = showRoots;
  $("trail").replaceChildren(home, ` › ${name}`);
  const docs = $("docs");
  docs.replaceChildren(element("h2", "", name), element("p", "", type.description));
  for (const field of type.fields || type.inputFields || type.enumValues || []) {
    docs.append(line(field), element("p", "", field.description));
  }
  docs.scrollTop = 0;
}

function search() {
  if (!schema) return;
  const wanted = $("search").value.trim().toLowerCase();
  if (!wanted) return showRoots();
  $("trail").replaceChildren();
  $("docs").replaceChildren(element("h2", "", "Found"));
  for (const type of schema.types.values()) {
    const fields = (type.fields || type.inputFields || []).filter((f) => f.name.toLowerCase().includes(wanted));
    if (!fields.length && !type.name.toLowerCase().includes(wanted)) continue;
    const heading = element("h3");
    heading.append(typeLink(type.name));
    $("docs").append(heading, ...fields.map(line));
  }
}

// --- editing -----------------------------------------------------------------------------------

/** Indents by brackets; strings and comments are kept as they are. */
function tidy(text) {
  let depth = 0;
  return text.split("\n").map((row) => {
    const clean = row.trim();
    const bare = clean.replace(/"(\\.|[^"\\])*"|#.*$/g, "");
    const opens = (bare.match(/[{([]/g) || []).length;
    const closes = (bare.match(/[})\]]/g) || []).length;
    const leading = (bare.match(/^[})\]]*/) || [""])[0].length;
    const made = clean ? "  ".repeat(Math.max(0, depth - leading)) + clean : "";
    depth = Math.max(0, depth + opens - closes);
    return made;
  }).join("\n");
}

function say(where, text, style) {
  where.textContent = text;
  where.className = style;
}

function remember() {
  localStorage.setItem("chipq-query", $("query").value);
  localStorage.setItem("chipq-variables", $("variables").value);
}

function pick(name) {
  const [query, variables] = EXAMPLES[name];
  $("query").value = query;
  $("variables").value = JSON.stringify(variables, null, 2);
}

function start() {
  for (const name of Object.keys(EXAMPLES)) $("examples").append(new Option(name, name));
  pick("Newest inspections");
  const kept = localStorage.getItem("chipq-query");
  if (kept) {
    $("query").value = kept;
    $("variables").value = localStorage.getItem("chipq-variables") || "";
  }
  $("login").addEventListener("submit", signIn);
  $("signout").addEventListener("click", signOut);
  $("kind").addEventListener("change", showKind);
  $("token").addEventListener("change", useToken);
  $("run").addEventListener("click", run);
  $("stop").addEventListener("click", stop);
  $("tidy").addEventListener("click", () => ($("query").value = tidy($("query").value)));
  $("search").addEventListener("input", search);
  $("examples").addEventListener("change", (event) => {
    if (event.target.value) pick(event.target.value);
    event.target.value = "";
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  });
  showKind();
}

start();

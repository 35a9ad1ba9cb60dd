// Shows /openapi.json with Swagger UI, and makes it a page on which a newcomer gets a verdict: the calls of a first
// board stand at its top, a command needs no key to be made up, and what a call answers is filled into the next.
"use strict";

// A first board, call by call: what is done, and which operation does it.
const FIRST_BOARD = [
  ["Sign in", "issueToken"],
  ["Create the inspection", "createInspection"],
  ["Announce its picture", "reserveArtifact"],
  ["Upload it", "uploadPicture"],
  ["Ask for the verdict", "requestInference"],
  ["Read the verdict", "getInspection"],
];
const FIRST_BOARD_TAG = "a first board";
// Of the form of a token, what a person fills in.
const SIGN_IN_FIELDS = ["username", "password"];
const KEY_PARAMETER = "Idempotency-Key";
// So long before its end a token is replaced.
const RENEW_BEFORE_MS = 60_000;

// Who signed in, by “Authorize” or by the first call: what was sent for the token, and when to send it again. It is
// kept in this page's memory only, and gone when the page is left.
let session = null;
let renewal = null;

/** The document as the page shows it. What /openapi.json says stays as it is: programs are made from it. */
function arrange(document) {
  const operations = new Map();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      operations.set(operation.operationId, { path, method, operation });
      for (const parameter of operation.parameters ?? []) {
        if (parameter.name === KEY_PARAMETER) {
          parameter.required = false;
          parameter.description += " Left empty, this page sends a new one with every click.";
        }
      }
    }
  }
  const steps = FIRST_BOARD.filter(([, id]) => operations.has(id));
  steps.forEach(([title, id], number) => {
    const { operation } = operations.get(id);
    operation.tags = [FIRST_BOARD_TAG, ...(operation.tags ?? [])];
    operation.summary = `${number + 1}. ${title}`;
  });
  const description = "Make these calls in this order: open one, “Try it out”, “Execute”. What a call answers is filled " +
    "into those after it. A board whose part has no golden sample yet is judged review: see parts.";
  document.tags = [{ name: FIRST_BOARD_TAG, description }, ...(document.tags ?? [])];
  return operations;
}

/**
 * Takes out what need not be sent: Swagger UI would send its example, or the word "string", as if somebody had typed
 * it. Of parameters the field stays, and is empty; a form has no empty fields, so that they go.
 */
function dropOptionalExamples(document, operations) {
  for (const { operation } of operations.values()) {
    for (const parameter of operation.parameters ?? []) {
      if (!parameter.required) {
        delete parameter.example;
        delete parameter.schema?.example;
      }
      // Who clicks does not want to ask twice.
      if (parameter.name === "Prefer") parameter.example = "wait=20";
    }
    const form = operation.requestBody?.content?.["application/x-www-form-urlencoded"]?.schema;
    if (form) {
      const name = form.$ref?.replace("#/components/schemas/", "");
      const { properties = {} } = name ? document.components.schemas[name] : form;
      Object.keys(properties).filter((one) => !SIGN_IN_FIELDS.includes(one)).forEach((one) => delete properties[one]);
    }
  }
}

/** A new key. crypto.randomUUID is there on https and localhost only. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const isForToken = (url) => new URL(url, location.href).pathname === "/v1/token";

/** Asks for a token as it was asked for before. */
async function renewToken() {
  const asked = Date.now();
  const answer = await fetch("/v1/token", { method: "POST", headers: session.headers, body: session.body });
  if (answer.ok) keepToken(await answer.json(), asked);
  // Otherwise the call itself is refused, and says why.
}

function keepToken({ access_token, expires_in }, asked) {
  const lasts = expires_in * 1000;
  session = { ...session, token: access_token, renewAt: asked + Math.max(lasts - RENEW_BEFORE_MS, lasts / 2) };
}

/** What a call gets that it does not have: a key for a command, and a token that is still good. */
async function completeRequest(request) {
  if (isForToken(request.url)) {
    // Swagger UI names a client with an account, too, though nobody has filled one in.
    if (request.headers.Authorization === `Basic ${btoa(":")}`) delete request.headers.Authorization;
    session = { headers: request.headers, body: request.body, asked: Date.now() };
    return request;
  }
  if (request.method === "POST" && !request.headers[KEY_PARAMETER]) {
    request.headers[KEY_PARAMETER] = newKey();
  }
  // A token that somebody pasted is sent as it is.
  if (session?.token && session.given.has(request.headers.Authorization)) {
    if (Date.now() >= session.renewAt) {
      renewal ??= renewToken().finally(() => (renewal = null));
      await renewal;
    }
    request.headers.Authorization = `Bearer ${session.token}`;
  }
  return request;
}

/** Fills what a call has answered into the calls that come after it, and signs in with a token. */
function useAnswer(ui, operations, response) {
  const answer = response.ok ? response.obj ?? response.body : null;
  if (answer === null || typeof answer !== "object") return response;
  if (isForToken(response.url)) {
    keepToken(answer, session.asked);
    session.given = new Set([`Bearer ${answer.access_token}`]);
    ui.preauthorizeApiKey("bearer", answer.access_token);
  }
  const known = { inspection_id: answer.inspection_id, report_id: answer.report_id };
  // A bucket's is of another server, and not sent from here.
  if (answer.upload_url?.includes("/v1/uploads/")) {
    const url = new URL(answer.upload_url);
    fillUpload(ui, operations.get("uploadPicture"), { artifact_id: answer.artifact_id,
      ...Object.fromEntries(url.searchParams) });
  }
  for (const target of operations.values()) fill(ui, target, known);
  return response;
}

/** Fills what a call must have; what it may have stays as it is. */
function fill(ui, { path, method, operation }, values) {
  for (const parameter of operation.parameters ?? []) {
    const value = values[parameter.name];
    if (parameter.required && value !== undefined && value !== null) {
      ui.specActions.changeParam([path, method], parameter.name, parameter.in, value, false);
    }
  }
}

/**
 * Fills everything that an upload_url says, what is optional, too: its signature counts for all of it. What it does
 * not say is emptied, since the URL before it may have said it.
 */
function fillUpload(ui, { path, method, operation }, values) {
  for (const { name, in: place } of operation.parameters ?? []) {
    ui.specActions.changeParam([path, method], name, place, values[name] ?? "", false);
  }
}

async function show() {
  const answer = await fetch("/openapi.json");
  const document_ = await answer.json();
  const operations = arrange(document_);
  dropOptionalExamples(document_, operations);
  const order = new Map(FIRST_BOARD.map(([, id], number) => [id, number]));
  const placeOf = (operation) => order.get(operation.getIn(["operation", "operationId"])) ?? order.size;
  const ui = SwaggerUIBundle({
    dom_id: "#page",
    spec: document_,
    validatorUrl: null,
    docExpansion: "list",
    operationsSorter: (one, other) => placeOf(one) - placeOf(other),
    requestInterceptor: completeRequest,
    responseInterceptor: (response) => useAnswer(ui, operations, response),
  });
}

show();

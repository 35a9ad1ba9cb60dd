// Reads an AsyncAPI document with the parser of the AsyncAPI initiative. What is wrong is printed, and ends it with 1.
import { readFileSync } from 'node:fs';
import { DiagnosticSeverity, Parser } from '@asyncapi/parser';

const [path] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(path, 'utf8'), { source: path });
const worst = DiagnosticSeverity.Warning;
const wrong = diagnostics.filter(({ severity }) => severity <= worst);
for (const { message, path: at, range } of wrong) {
  console.error(`${path}:${range.start.line + 1}: ${at.join('.')}: ${message}`);
}
if (document === undefined || wrong.length > 0) process.exit(1);
console.log(`${document.allChannels().all().length} channels, ${document.allMessages().all().length} messages`);

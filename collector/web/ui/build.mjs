// Bundles the page into build/ui/: files named after a hash of their content, and a C table of them all
// (assets_table.c) that is linked into the collector. Usage: node build.mjs [folder].
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, '../../../build/ui'));
const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };

const hash = (data) => createHash('sha256').update(data).digest('hex').slice(0, 16);

rmSync(join(out, 'assets'), { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });
await build({
	absWorkingDir: here,
	entryPoints: { app: 'src/main.tsx' },
	outdir: join(out, 'assets'),
	bundle: true,
	minify: true,
	format: 'esm',
	target: 'es2020',
	charset: 'utf8',
	entryNames: '[name]-[hash]',
	jsx: 'automatic',
	jsxImportSource: 'preact',
	legalComments: 'none',
	logLevel: 'warning',
});
const icon = readFileSync(join(here, 'icon.svg'));
writeFileSync(join(out, 'assets', `icon-${hash(icon).slice(0, 8)}.svg`), icon);

const names = readdirSync(join(out, 'assets')).sort();
const named = (end) => '/assets/' + names.find((n) => n.endsWith(end));
const html = readFileSync(join(here, 'index.html'), 'utf8')
	.replace('{app.js}', named('.js')).replace('{app.css}', named('.css')).replace('{icon.svg}', named('.svg'));
writeFileSync(join(out, 'index.html'), html);

const files = [{ path: '/', type: 'text/html; charset=utf-8', data: Buffer.from(html) }];
for (const n of names)
	files.push({ path: '/assets/' + n, type: types[n.split('.').pop()], data: readFileSync(join(out, 'assets', n)) });

const bytes = (name, data) => {
	const rows = [];
	for (let i = 0; i < data.length; i += 32)
		rows.push(Array.from(data.subarray(i, i + 32)).join(','));
	return `static const uint8_t ${name}[] = {\n${rows.join(',\n')}};\n`;
};
let arrays = '', table = '';
files.forEach((f, i) => {
	const gzip = gzipSync(f.data, { level: 9 });
	const smaller = gzip.length < f.data.length;

	arrays += bytes(`data${i}`, f.data) + (smaller ? bytes(`gzip${i}`, gzip) : '');
	table += `\t{${JSON.stringify(f.path)}, ${JSON.stringify(f.type)}, "\\"${hash(f.data)}\\"", data${i}, ` +
		`${smaller ? `gzip${i}` : 'NULL'}, ${f.data.length}, ${smaller ? gzip.length : 0}},\n`;
	if (process.env.V) console.log(`  ${f.path}  ${f.data.length} bytes, ${gzip.length} compressed`);
});
writeFileSync(join(out, 'assets_table.c'), '/* Made by collector/web/ui/build.mjs. */\n' +
	'#include "collector/web/assets.h"\n\n' + arrays +
	`\nconst struct asset assets_table[] = {\n${table}\t{NULL, NULL, NULL, NULL, NULL, 0, 0},\n};\n`);

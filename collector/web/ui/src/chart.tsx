// Graphs of one series: the smoke of round-trip times with loss, the phases of a request, or plain lines.
// IPv4 and IPv6 stand beside each other with one scale, one cursor and one zoom.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { Column, Values } from './api';
import { currentLanguage, formatClock, formatDay, formatMinute, formatMonth, formatTime, labelOf as labelOfMetric, t } from './words';

export interface Drawing { kind: 'smoke' | 'phases' | 'lines'; times: number[]; columns: (number | null)[][]; labels: string[]; up: (number | null)[]; min: number; max: number; unit: string; own?: (number | null)[][] }

const scaled = (values: (number | null)[], by: number) => values.map((v) => v === null ? null : v * by);

function columnOf(v: Values, name: string, f: 'average' | 'min' | 'max' = 'average'): (number | null)[] | null {
	const c = v.columns.find((x) => x.name === name && x.function === f) ?? v.columns.find((x) => x.name === name && x.function === 'average');
	return c ? c.values : null;
}

const highest = (all: (number | null)[][]) => all.reduce((m, c) => c.reduce((n: number, x) => x !== null && x > n ? x : n, m), 0);

/** How a unit is shown, and by what its numbers are multiplied. */
function shownUnit(unit: string, type: string): [string, number] {
	if (unit === 's')
		return type === 'uptime' ? [t('daysUnit'), 1 / 86400] : type === 'heartbeat' ? [t('secondsUnit'), 1] : [t('ms'), 1000];
	const units: Record<string, [string, number]> = { 1: ['', 1], B: ['MiB', 1 / 1048576], 'B/s': ['KiB/s', 1 / 1024], Cel: ['°C', 1], d: [t('daysUnit'), 1] };
	return units[unit] ?? [unit, 1];
}

/** What the collector finds worth drawing, of one unit. */
const columnsOf = (v: Values): Column[] => v.columns.filter((c) => c.drawn > 0).sort((a, b) => a.drawn - b.drawn);

/** Brings columns into the shape that is drawn; milliseconds, loss in percent. */
export function drawingOf(v: Values, type: string): Drawing {
	const times = Array.from({ length: v.rows }, (_, i) => v.start + (i + 1) * v.step);
	const none = times.map(() => null);
	const up = columnOf(v, 'up') ?? none;
	const ms = (name: string, f?: 'min' | 'max') => scaled(columnOf(v, name, f) ?? none, 1000);
	if (type === 'icmp') {
		const high = ms('rtt_max', 'max');
		const columns = [ms('rtt_min', 'min'), high, ms('rtt_p25'), ms('rtt_p75'), ms('rtt_median'), columnOf(v, 'loss') ?? none];
		return { kind: 'smoke', times, columns, up, max: highest([high]), min: 0, unit: t('ms'), labels: [t('rttMin'), t('rttMax'), '25%', '75%', t('median'), t('loss')] };
	}
	if (type === 'http') {
		const phases = ['resolve', 'connect', 'tls', 'first_byte'].map((n) => ms(n));
		const sums: (number | null)[][] = [];
		phases.forEach((p, i) => sums.push(p.map((x, k) => up[k] === null || (x === null && !sums[i - 1]?.[k]) ? null : (x ?? 0) + (sums[i - 1]?.[k] ?? 0))));
		const total = ms('total');
		return {
			kind: 'phases', times, columns: [...sums.reverse(), total], own: [...phases.slice().reverse(), total], up, min: 0, max: highest([total, ...sums]), unit: t('ms'),
			labels: [t('firstByte'), t('tls'), t('connect'), t('resolve'), t('total')],
		};
	}
	const shown = columnsOf(v);
	const [unit, by] = shown.length ? shownUnit(shown[0]!.unit, type) : ['%', 100];
	const lines = shown.length ? shown.map((c) => scaled(c.values, by)) : [scaled(up, by)];
	return {
		kind: 'lines', times, columns: lines, up, min: -highest(lines.map((l) => scaled(l, -1))), max: highest(lines), unit,
		labels: shown.length ? shown.map(labelOfMetric) : [t('available')],
	};
}

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Grey hatching where nothing was measured, red crossing where it was down: behind everything, from edge to edge. */
function shade(u: uPlot, up: (number | null)[], step: number, interval: number) {
	const { ctx, bbox } = u;
	const times = u.data[0];
	const flags = times.map((_, i) => up[i] === null ? 1 : up[i]! < 0.999 ? 2 : 0);
	for (let i = 0; i < flags.length;) {
		let k = i;
		while (k < flags.length && flags[k] === flags[i])
			k++;
		// The newest round may still be on its way: nothing is missing yet.
		const isPending = k === flags.length && flags[i] === 1 && (k - i) * step <= 3 * interval + 20;
		if (flags[i] !== 0 && !isPending) {
			const left = Math.max(bbox.left, u.valToPos(times[i]! - step, 'x', true));
			const right = Math.min(bbox.left + bbox.width, u.valToPos(times[k - 1]!, 'x', true));
			if (right > left)
				hatch(ctx, left, bbox.top, Math.max(right - left, 2), bbox.height, flags[i] === 2);
		}
		i = k;
	}
}

function hatch(ctx: CanvasRenderingContext2D, x: number, y: number, w: number, h: number, isDown: boolean) {
	ctx.save();
	ctx.beginPath();
	ctx.rect(x, y, w, h);
	ctx.clip();
	ctx.fillStyle = colour(isDown ? '--shade-down' : '--shade-unknown');
	ctx.fillRect(x, y, w, h);
	ctx.strokeStyle = colour(isDown ? '--line-down' : '--line-unknown');
	ctx.lineWidth = devicePixelRatio;
	const gap = 9 * devicePixelRatio;
	ctx.beginPath();
	for (let at = x - h; at < x + w; at += gap) {
		ctx.moveTo(at, y + h);
		ctx.lineTo(at + h, y);
		if (isDown) {
			ctx.moveTo(at, y);
			ctx.lineTo(at + h, y + h);
		}
	}
	ctx.stroke();
	ctx.restore();
}

export const lineColours = ['median', 'first-byte', 'tls', 'resolve', 'connect', 'loss'];

function seriesOf(d: Drawing): { series: uPlot.Series[]; bands: uPlot.Band[] } {
	const blue = colour('--smoke'), core = colour('--core'), deep = colour('--median');
	const hidden = { points: { show: false }, width: 0, stroke: 'transparent' };
	if (d.kind === 'smoke')
		return {
			series: [{}, { ...hidden }, { ...hidden }, { ...hidden }, { ...hidden },
				{ stroke: deep, width: 1.5, points: { show: false } },
				{ scale: 'loss', stroke: colour('--loss'), fill: colour('--loss-fill'), width: 1, points: { show: false } }],
			bands: [{ series: [2, 1], fill: blue }, { series: [4, 3], fill: core }],
		};
	if (d.kind === 'phases') {
		const fills = ['--first-byte', '--tls', '--connect', '--resolve'].map(colour);
		return {
			series: [{}, ...fills.map((f) => ({ fill: f, stroke: f, width: 0, points: { show: false } })),
				{ stroke: colour('--ink'), width: 1.25, points: { show: false } }],
			bands: [],
		};
	}
	const strokes = lineColours.map((c) => colour('--' + c));
	return { series: [{}, ...d.labels.map((_, i) => ({ stroke: strokes[i % strokes.length], width: 1.5, points: { show: false } }))], bands: [] };
}

const labelOf = (span: number) => span <= 3 * 86400 ? formatMinute : span <= 90 * 86400 ? formatDay : formatMonth;

function optionsOf(d: Drawing, width: number, from: number, to: number, [min, max]: [number, number], step: number, interval: number,
	onZoom: (from: number, to: number) => void, onCursor: (text: string) => void): uPlot.Options {
	const { series, bands } = seriesOf(d);
	const ink = colour('--ink-soft'), grid = colour('--grid');
	const font = '12px ' + getComputedStyle(document.body).fontFamily;
	const long = to - from > 3 * 86400;
	return {
		width, height: 230, series, bands, legend: { show: false }, padding: [10, 8, 0, 0],
		tzDate: (s) => uPlot.tzDate(new Date(s * 1e3), 'Asia/Shanghai'),
		cursor: { sync: { key: 'check', setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { show: false } },
		select: { show: true, left: 0, top: 0, width: 0, height: 0 },
		scales: {
			x: { time: true, range: [from, to] },
			y: { range: [min * 1.08, max > 0 ? max * 1.08 : min < 0 ? 0 : 1] },
			...(d.kind === 'smoke' ? { loss: { range: [0, 100] as [number, number] } } : {}),
		},
		axes: [
			{ stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid }, size: 32, space: long ? 70 : 60,
				values: (_, splits) => splits.map(labelOf(to - from)) },
			{ stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid }, size: 54,
				values: (_, splits) => splits.map((v) => String(+v.toPrecision(4))) },
			...(d.kind === 'smoke' ? [{ scale: 'loss', side: 1 as const, stroke: colour('--loss'), font, grid: { show: false }, size: 44,
				splits: [0, 50, 100], values: (_: uPlot, splits: number[]) => splits.map((v) => v + '%') }] : []),
		],
		hooks: {
			drawClear: [(u) => shade(u, d.up, step, interval)],
			setSelect: [(u) => {
				if (u.select.width > 5)
					onZoom(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'));
				u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
			}],
			setCursor: [(u) => onCursor(u.cursor.idx == null ? '' : describe(d, u.cursor.idx, to - from))],
		},
	};
}

/** Phases are drawn as sums: what is told is each one's own share, and nothing where it was not measured. */
const ownValue = (d: Drawing, k: number, i: number): number | null => (d.own ?? d.columns)[k]![i] ?? null;

function describe(d: Drawing, i: number, span: number) {
	const time = d.times[i]!;
	const parts = d.labels.map((label, k) => {
		const v = ownValue(d, k, i);
		return v == null ? '' : `${label} ${+v.toPrecision(4)}`;
	}).filter(Boolean);
	const state = d.up[i] === null ? t('notMeasured') : d.up[i]! < 0.999 ? t('wasDown') : '';
	return [span > 86400 ? formatTime(time) : formatClock(time), state, ...parts].filter(Boolean).join('   ');
}

export function Chart(p: { values: Values; type: string; interval: number; label: string; from: number; to: number; range: [number, number]; theme: string; onZoom: (from: number, to: number) => void; onReset: () => void }) {
	const box = useRef<HTMLDivElement>(null);
	const read = useRef<HTMLParagraphElement>(null);
	useEffect(() => {
		const d = drawingOf(p.values, p.type);
		const place = box.current!;
		const width = () => Math.max(260, place.clientWidth);
		const u = new uPlot(optionsOf(d, width(), p.from, p.to, p.range, p.values.step, p.interval, p.onZoom,
			(text) => { if (read.current) read.current.textContent = text || '\u00a0'; }), [d.times, ...d.columns.map((c, k) => d.kind === 'smoke' && k === 5 ? c.map((v) => v || null) : c)], place);
		const canvas = u.root.querySelector('canvas')!;
		canvas.setAttribute('role', 'img');
		canvas.setAttribute('aria-label', p.label);
		u.over.addEventListener('dblclick', p.onReset);
		const watch = new ResizeObserver(() => u.setSize({ width: width(), height: 230 }));
		watch.observe(place);
		return () => { watch.disconnect(); u.destroy(); };
	}, [p.values, p.from, p.to, ...p.range, p.theme, p.type, currentLanguage()]);
	return (
		<figure class="chart">
			<div ref={box} class="plot" />
			<p class="cursor" ref={read}>&nbsp;</p>
		</figure>
	);
}

/** How much longer a time is over IPv6 than over IPv4: by the moments at which both were measured. */
export function Parity({ v4, v6, type }: { v4: Values; v6: Values; type: string }) {
	const at = new Map(Array.from({ length: v4.rows }, (_, i) => [v4.start + (i + 1) * v4.step, i]));
	const compared = type in { icmp: 1, http: 1 } ? v4.columns.filter((c) => c.function === 'average') : columnsOf(v4);
	const ratios = compared.filter((c) => c.unit === 's').map((c) => {
		const other = columnOf(v6, c.name);
		let sum4 = 0, sum6 = 0;
		(other ?? []).forEach((x, i) => {
			const k = at.get(v6.start + (i + 1) * v6.step);
			const y = k === undefined ? null : c.values[k];
			if (x !== null && y != null) {
				sum4 += y;
				sum6 += x;
			}
		});
		return { name: labelOfMetric(c), ratio: sum4 > 0 ? sum6 / sum4 : 0 };
	}).filter((r) => r.ratio > 0);
	if (ratios.length === 0)
		return null;
	return (
		<p class="parity"><b>IPv6 : IPv4</b> {ratios.map((r) => <span key={r.name}>{r.name} {r.ratio.toFixed(2)} ×</span>)}</p>
	);
}

/** Numbers beside the picture: for those who cannot see it, and for whoever copies them. */
export function Summary({ values, type, label }: { values: Values; type: string; label: string }) {
	const d = drawingOf(values, type);
	const rows = d.labels.map((name, k) => {
		const own = d.times.map((_, i) => ownValue(d, k, i)).filter((v): v is number => v !== null);
		return { name: d.kind === 'smoke' && k === 5 ? name + ' %' : name, own };
	}).filter((r) => r.own.length > 0);
	const known = d.up.filter((v): v is number => v !== null);
	const text = (v: number | undefined) => v === undefined ? '' : String(+v.toPrecision(4));
	return (
		<table class="summary">
			<caption class="hidden">{label}</caption>
			<thead><tr><th scope="col">{t('metric')}{d.unit && ` (${d.unit})`}</th><th scope="col">{t('min')}</th><th scope="col">{t('avg')}</th><th scope="col">{t('max')}</th><th scope="col">{t('last')}</th></tr></thead>
			<tbody>
				{rows.map((r) => (
					<tr key={r.name}><th scope="row">{r.name}</th><td>{text(Math.min(...r.own))}</td><td>{text(r.own.reduce((a, b) => a + b, 0) / r.own.length)}</td><td>{text(Math.max(...r.own))}</td><td>{text(r.own[r.own.length - 1])}</td></tr>
				))}
				<tr><th scope="row">{t('available')} %</th><td /><td>{known.length ? text(known.reduce((a, b) => a + b, 0) / known.length * 100) : t('notMeasured')}</td><td /><td /></tr>
			</tbody>
		</table>
	);
}

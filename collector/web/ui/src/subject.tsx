// One system, link, site or agent: its checks with the latest outcome per vantage, family and address, and their graphs.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { type Check, Failure, type Kind, type Ref, type Row, type Subject, type Values, get, query, worstFirst, type Family } from './api';
import { type Drawing, Chart, Parity, Summary, drawingOf, lineColours } from './chart';
import { Bars, IncidentsOf } from './judged';
import { Legend, Pair, StateWord } from './marks';
import { href, setQuery, store, usePlace, useStore } from './store';
import { Path } from './tree';
import { type Key, currentLanguage, formatDuration, formatTime, nameOf, reasonOf, t } from './words';

const spans = { '10m': 600, '1h': 3600, '24h': 86400, '7d': 604800, '1y': 31622400 } as const;
type Span = keyof typeof spans;
const folders: Record<Kind, string> = { system: 'systems', link: 'links', site: 'sites', host: 'agents' };

/** It was taken out of the inventory: what was known of it must not stay as if it were so. */
const isAbsent = (error: unknown) => error instanceof Failure && error.status === 404;

function useSubject(kind: Kind, id: string) {
	const [state, setState] = useState<{ subject: Subject | null; error: Failure | null }>({ subject: null, error: null });
	useEffect(() => {
		const abort = new AbortController();
		let timer = 0, checks: string[] = [];
		const load = () => get<Subject>(`${folders[kind]}/${encodeURIComponent(id)}`, abort.signal)
			.then((subject) => { checks = subject.list.map((c) => c.id); setState({ subject, error: null }); })
			.catch((error) => abort.signal.aborted || setState((s) => ({ subject: isAbsent(error) ? null : s.subject, error })));
		const soon = () => { clearTimeout(timer); timer = window.setTimeout(load, 200); };
		const stop = store.watch((c) => { if (!c || c.checks.some((x) => checks.includes(x))) soon(); });
		const slow = setInterval(load, 10_000); // the age of what does not change
		load();
		return () => { abort.abort(); clearTimeout(timer); clearInterval(slow); stop(); };
	}, [kind, id]);
	return state;
}

const familyName = (f: Family) => f === 0 ? t('host') : `IPv${f}`;

function RowLine({ row, name, now }: { row: Row; name: string; now: number }) {
	return (
		<tr class={row.gone ? 'gone' : row.state}>
			<th scope="row"><bdi>{name}</bdi></th>
			<td>{familyName(row.family)}</td>
			<td class="address">{row.part_name && row.part_name !== row.address && <bdi>{row.part_name} </bdi>}<bdi>{row.address || (row.part_name ? '' : '–')}</bdi></td>
			<td><StateWord state={row.state} /></td>
			<td class="reason">{row.old && <em>{t(row.gone ? 'gone' : 'old')}{row.outcome ? ` · ${t('lastKnown')} ${t(row.outcome as Key)}` : ''}</em>}{row.old && row.reason ? ' · ' : ''}<bdi>{reasonOf(row)}</bdi></td>
			<td class="since">{row.since ? <time dateTime={new Date(row.since * 1000).toISOString()} title={formatTime(row.since)}>{formatDuration(now - row.since)}</time> : '–'}</td>
			<td class="since">{row.measured ? <time dateTime={new Date(row.measured * 1000).toISOString()} title={formatTime(row.measured)}>{t('ago', { t: formatDuration(now - row.measured) })}</time> : '–'}</td>
		</tr>
	);
}

function Rows({ check }: { check: Check }) {
	const now = useStore().now();
	const names = new Map(check.vantages.map((v) => [v.id, nameOf(v)]));
	const missing = check.vantages.flatMap((v) => check.families.filter((f) => !check.rows.some((r) => r.vantage === v.id && r.family === f)).map((f) => ({ v, f })));
	const rows = check.rows.slice().sort((a, b) => a.vantage.localeCompare(b.vantage) || a.family - b.family || a.part - b.part);
	return (
		<div class="scroll" tabIndex={0} role="region" aria-label={check.id}>
			<table class="rows">
				<thead><tr>
					<th scope="col">{t('vantage')}</th><th scope="col">{t('family')}</th><th scope="col">{t('address')}</th><th scope="col">{t('state')}</th>
					<th scope="col">{t('reason')}</th><th scope="col">{t('sinceWord')}</th><th scope="col">{t('age')}</th>
				</tr></thead>
				<tbody>
					{rows.map((r) => <RowLine key={`${r.vantage}/${r.family}/${r.part}`} row={r} name={names.get(r.vantage) ?? r.vantage} now={now} />)}
					{missing.map(({ v, f }) => (
						<tr key={`${v.id}/${f}`} class="unknown"><th scope="row"><bdi>{nameOf(v)}</bdi></th><td>{familyName(f)}</td><td>–</td><td><StateWord state="unknown" /></td><td class="reason"><em>{t('noRows')}</em></td><td>–</td><td>–</td></tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

/* ---- graphs */

interface Shown { from: number; to: number; values: (Values | null)[] }

/** Rows of one vantage, those that are gone left out: a part each of several addresses, interfaces, disks, hops. */
const partsOf = (check: Check, vantage: string) =>
	check.rows.filter((r) => r.vantage === vantage && !r.gone).sort((a, b) => a.part - b.part);

/** The series that one vantage has of a part, in both families; of addresses, which have no name of both: the first of each. */
function seriesOf(check: Check, vantage: string, part: string) {
	const rows = partsOf(check, vantage);
	return check.families.map((f) => ({ family: f, row: rows.find((r) => r.family === f && r.part_name === part) ?? (part ? undefined : rows.find((r) => r.family === f)) }));
}

function useValues(check: Check, vantage: string, part: string, span: Span, zoom: [number, number] | null, points: number) {
	const [shown, setShown] = useState<Shown | null>(null);
	const [error, setError] = useState('');
	const parts = seriesOf(check, vantage, part).map((s) => `${s.family}:${s.row?.part ?? ''}`).join();
	useEffect(() => {
		const abort = new AbortController();
		const load = async () => {
			const to = zoom ? Math.ceil(zoom[1]) : Math.floor(store.now()), from = zoom ? Math.floor(zoom[0]) : to - spans[span];
			try {
				const values = await Promise.all(seriesOf(check, vantage, part).map(({ family, row }) => row
					? get<Values>('values?' + query({ check: check.id, vantage, family, part: row.part, from, to, points }), abort.signal)
					: null));
				setShown({ from, to, values });
				setError('');
			} catch (e) {
				if (!abort.signal.aborted)
					setError((e as Error).message);
			}
		};
		load();
		const timer = setInterval(load, spans[span] <= 3600 && !zoom ? 10_000 : 60_000);
		return () => { abort.abort(); clearInterval(timer); };
	}, [check.id, vantage, span, zoom?.[0], zoom?.[1], parts]);
	return { shown, error };
}

function Key({ type, drawing }: { type: string; drawing: Drawing | null }) {
	const words: [string, Key][] = type === 'icmp' ? [['smoke', 'minmax'], ['core', 'quarter'], ['median', 'median'], ['loss', 'loss']]
		: type === 'http' ? [['resolve', 'resolve'], ['connect', 'connect'], ['tls', 'tls'], ['first-byte', 'firstByte'], ['ink', 'total']] : [];
	const items = words.length ? words.map(([c, w]) => [c, t(w)]) : (drawing?.labels ?? []).map((label, i) => [lineColours[i % lineColours.length], label]);
	return (
		<ul class="key">
			{items.map(([c, w]) => <li key={w}><span class={`swatch k-${c}`} />{w}</li>)}
			<li><span class="swatch k-down" />{t('wasDown')}</li><li><span class="swatch k-unknown" />{t('notMeasured')}</li>
		</ul>
	);
}

function Graphs({ check, subject }: { check: Check; subject: Subject }) {
	const q = usePlace().query;
	const span = (q.get('span') ?? '') in spans ? q.get('span') as Span : '1h';
	const vantage = check.vantages.find((v) => v.id === q.get('vantage'))?.id ?? check.vantages[0]?.id ?? '';
	const from = Number(q.get('from')), to = Number(q.get('to'));
	const zoom = useMemo<[number, number] | null>(() => from > 0 && to > from ? [from, to] : null, [from, to]);
	const names = [...new Set(partsOf(check, vantage).map((r) => r.part_name))];
	const part = names.find((n) => n === q.get('part')) ?? (names.includes('') ? '' : names.length === 1 ? names[0]! : '');
	const { shown, error } = useValues(check, vantage, part, span, zoom, 600);
	const theme = document.documentElement.dataset.theme ?? 'day';
	const drawings = (shown?.values ?? []).flatMap((v) => v ? [drawingOf(v, check.type)] : []);
	const range: [number, number] = [Math.min(0, ...drawings.map((d) => d.min)), Math.max(0, ...drawings.map((d) => d.max))];
	const fullest = drawings.reduce<Drawing | null>((a, d) => a && a.labels.length >= d.labels.length ? a : d, null);
	const onZoom = (a: number, b: number) => setQuery({ from: String(Math.floor(a)), to: String(Math.ceil(b)) });
	const onReset = () => setQuery({ from: undefined, to: undefined });
	const picture = (family: Family | undefined, format: 'svg' | 'png', row?: Row) => `/api/v1/graph.${format}?` + query({
		check: check.id, vantage, family, part: part && row ? row.part : undefined, ...(zoom ? { from, to } : { span }), lang: currentLanguage(), width: 900, height: 320 });
	return (
		<div class="graphs">
			<div class="bar">
				<div class="choice" role="group" aria-label={t('span')}>
					{(Object.keys(spans) as Span[]).map((s) => (
						<button key={s} type="button" aria-pressed={s === span && !zoom} onClick={() => setQuery({ span: s, from: undefined, to: undefined })}>{t(`span${s}` as Key)}</button>
					))}
				</div>
				{check.vantages.length > 1 && (
					<label>{t('vantage')} <select value={vantage} onChange={(e) => setQuery({ vantage: e.currentTarget.value })}>
						{check.vantages.map((v) => <option key={v.id} value={v.id}>{nameOf(v)}</option>)}
					</select></label>
				)}
				{names.length > 1 && names.includes('') && (
					<label>{t('part')} <select value={part} onChange={(e) => setQuery({ part: e.currentTarget.value || undefined })}>
						{names.map((n) => <option key={n} value={n}>{n || t('whole')}</option>)}
					</select></label>
				)}
				{zoom && <span class="zoom">{t('zoomed', { from: formatTime(zoom[0]), to: formatTime(zoom[1]) })} <button type="button" onClick={onReset}>{t('resetZoom')}</button></span>}
				<span class="pictures">{t('picture')}: <a href={picture(undefined, 'png')}>PNG</a> <a href={picture(undefined, 'svg')}>SVG</a></span>
			</div>
			<Key type={check.type} drawing={fullest} />
			{error && <p class="error" role="alert">{t('failed', { why: error })}</p>}
			<div class="beside">
				{seriesOf(check, vantage, part).map(({ family, row }, i) => {
					const values = shown?.values[i];
					const label = `${t('graphOf', { what: `${nameOf(subject)} ${check.id} ${familyName(family)}` })}`;
					return (
						<section key={family} class="family" aria-label={familyName(family)}>
							<h4>{familyName(family)} <small><bdi>{row?.address}</bdi> {drawings.length > 0 && drawings[0]!.unit}</small> {row && <StateWord state={row.state} />}
								<span class="pictures"><a href={picture(family, 'png', row)} aria-label={`${familyName(family)} PNG`}>PNG</a> <a href={picture(family, 'svg', row)} aria-label={`${familyName(family)} SVG`}>SVG</a></span></h4>
							{shown && values ? <Chart values={values} type={check.type} interval={check.interval} label={label} from={shown.from} to={shown.to} range={range} theme={theme} onZoom={onZoom} onReset={onReset} />
								: <div class="chart empty"><p>{shown && !row ? t('noRows') : t('loading')}</p></div>}
							{values && <Summary values={values} type={check.type} label={label} />}
						</section>
					);
				})}
			</div>
			{check.families.length === 2 && shown?.values[0] && shown.values[1] && <Parity v4={shown.values[0]} v6={shown.values[1]} type={check.type} />}
		</div>
	);
}

function CheckPart({ check, subject }: { check: Check; subject: Subject }) {
	return (
		<section class="check" aria-labelledby={'c-' + check.id}>
			<header>
				<h2 id={'c-' + check.id}><a href={href('checks/' + check.id)}>{check.id}</a></h2>
				<Pair v4={check.v4} v6={check.v6} />
				<span>{check.type.toUpperCase()}</span>
				{check.target && <bdi class="target">{check.target}</bdi>}
				<span>{t('interval', { t: formatDuration(check.interval) })}</span>
				{check.priority && <span class="priority">{t('priority')}</span>}
			</header>
			<Rows check={check} />
			<Graphs check={check} subject={subject} />
		</section>
	);
}

const RefLink = ({ r }: { r: Ref }) =>
	<a class={`ref ${r.state}`} href={href(`${folders[r.kind]}/${r.id}`)}><bdi>{nameOf(r)}</bdi> <Pair v4={r.v4} v6={r.v6} /></a>;

/** Many: those that are not up are shown, the others on demand. */
function Refs({ title, refs }: { title: string; refs: Ref[] }) {
	const first = refs.length <= 8 ? refs : refs.filter((r) => r.state !== 'up').sort(worstFirst);
	const rest = refs.filter((r) => !first.includes(r));
	return (
		<div class="refs">
			<dt>{title}</dt>
			<dd>
				{refs.length === 0 && t('nothing')}
				{first.map((r) => <RefLink key={r.id} r={r} />)}
				{rest.length > 0 && <details><summary>{t('up')} {rest.length}</summary>{rest.map((r) => <RefLink key={r.id} r={r} />)}</details>}
			</dd>
		</div>
	);
}

export function SubjectPage({ kind, id }: { kind: Kind; id: string }) {
	const { subject, error } = useSubject(kind, id);
	const now = useStore().now();
	if (!subject)
		return error
			? <div class="wait" role="alert"><p>{error.status === 404 ? t('notFound') : t('failed', { why: error.message })}</p><p><a href={href('')}>{t('back')}</a></p></div>
			: <p class="wait">{t('loading')}</p>;
	return (
		<article class="subject">
			<header class="head">
				{subject.path && <Path path={subject.path} />}
				{subject.unit && <a class="path" href={href('', { q: subject.unit.name })}><bdi>{nameOf(subject.unit)}</bdi></a>}
				<h1><bdi>{nameOf(subject.site ?? subject)}</bdi></h1>
				<StateWord state={subject.state} />
				<Pair v4={subject.v4} v6={subject.v6} />
				{subject.since && <span>{t('since', { t: formatTime(subject.since) })} · {t('forTime', { t: formatDuration(now - subject.since) })}</span>}
				{kind === 'link' && <span class="address">{t('link')} <bdi>{subject.id}</bdi> {subject.ipv4 && <bdi>{subject.ipv4}</bdi>} {subject.ipv6 && <bdi>{subject.ipv6}</bdi>}</span>}
			</header>
			{error && <p class="error" role="alert">{t('failed', { why: error.message })}</p>}
			{(subject.depends || subject.link) && (
				<dl class="about">
					{subject.depends && <Refs title={t('depends')} refs={subject.depends} />}
					{subject.dependents && <Refs title={t('dependents')} refs={subject.dependents} />}
					{subject.link && <Refs title={t('link')} refs={[subject.link]} />}
				</dl>
			)}
			<IncidentsOf kind={kind} id={id} />
			<Bars kind={kind} id={id} />
			{subject.list.length === 0 && <p class="wait">{t('none')}</p>}
			{subject.list.map((c) => <CheckPart key={c.id} check={c} subject={subject} />)}
			<p class="note">{t('dragZoom')}</p>
			<Legend />
		</article>
	);
}

/** A check by its own id: its subject is asked for first. */
export function CheckPage({ id }: { id: string }) {
	const [found, setFound] = useState<{ subject: Ref; list: Check[] } | null>(null);
	const [error, setError] = useState<Failure | null>(null);
	useEffect(() => {
		const abort = new AbortController();
		const load = () => get<{ subject: Ref; list: Check[] }>('checks/' + encodeURIComponent(id), abort.signal).then((f) => { setFound(f); setError(null); })
			.catch((e) => { if (!abort.signal.aborted) { setError(e); if (isAbsent(e)) setFound(null); } });
		const timer = setInterval(load, 5000);
		load();
		return () => { abort.abort(); clearInterval(timer); };
	}, [id]);
	if (!found)
		return <div class="wait"><p>{error ? error.status === 404 ? t('notFound') : t('failed', { why: error.message }) : t('loading')}</p></div>;
	const subject = { ...found.subject, list: found.list } as unknown as Subject;
	return (
		<article class="subject">
			<header class="head">
				<a class="path" href={href(`${folders[found.subject.kind]}/${found.subject.id}`)}><bdi>{nameOf(found.subject)}</bdi></a>
				<h1>{id}</h1>
			</header>
			{error && <p class="error" role="alert">{t('failed', { why: error.message })}</p>}
			{found.list.map((c) => <CheckPart key={c.id} check={c} subject={subject} />)}
			<p class="note">{t('dragZoom')}</p>
			<Legend />
		</article>
	);
}

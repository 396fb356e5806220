// What judgement says: open incidents, one cause each, and the ledger of a subject as bars.
import { useEffect, useState } from 'preact/hooks';
import { type Incident, type Kind, type Ledger, type Overview, type State, get, query } from './api';
import { StateWord } from './marks';
import { href, store, useStore } from './store';
import { type Key, formatDuration, formatTime, nameOf, reasonOf, t } from './words';

const folders: Record<string, string> = { system: 'systems', link: 'links', site: 'sites', host: 'agents', agent: 'agents' };

/** What goes wrong with the monitoring itself has no page. "monitoring/clock-ID" is the clock of an agent. */
function Matter({ id, overview }: { id: string; overview: Overview }) {
	const agent = id.startsWith('clock-') ? id.slice(6) : '';
	const known = overview.agents.find((a) => a.id === agent);
	const words: Record<string, Key> = { disk: 'matterDisk', certificate: 'matterCertificate', series: 'matterSeries', notice: 'matterNotice', beat: 'matterBeat', commands: 'matterCommands' };
	return <>{t('monitoring')} {agent ? <>{t('matterClock')} <bdi>{known ? nameOf(known) : agent}</bdi></> : words[id] ? t(words[id]) : <bdi>{id}</bdi>}</>;
}

/** A link has no name of its own: its site has, which the overview does not know. */
function SiteName({ folder, id }: { folder: string; id: string }) {
	const [name, setName] = useState('');
	useEffect(() => {
		const abort = new AbortController();
		get<{ name: string; site?: Parameters<typeof nameOf>[0] }>(`${folder}/${encodeURIComponent(id)}`, abort.signal)
			.then((s) => setName(s.site ? nameOf(s.site) : s.name)).catch(() => undefined);
		return () => abort.abort();
	}, [folder, id]);
	return name && name !== id ? <> (<bdi>{name}</bdi>)</> : null;
}

/** "system/portal" by its name where the wall knows it; whole: it is asked for where the wall does not. */
function SubjectLink({ subject, overview, whole }: { subject: string; overview: Overview; whole?: boolean }) {
	const [kind, id] = subject.split('/');
	const known = kind === 'system' ? overview.systems.find((s) => s.id === id)
		: kind === 'agent' || kind === 'host' ? overview.agents.find((a) => a.id === id) : undefined;
	if (kind === 'monitoring')
		return <Matter id={id} overview={overview} />;
	return (
		<a href={href(`${folders[kind] ?? kind}/${id}`)}>
			{kind in folders ? t(kind as Key) : kind} <bdi>{known ? nameOf(known) : id}</bdi>
			{whole && (kind === 'link' || kind === 'site') && <SiteName folder={folders[kind]} id={id} />}
		</a>
	);
}

function IncidentRow({ incident: i, overview }: { incident: Incident; overview: Overview }) {
	const others = i.affected.slice(1);
	return (
		<li class={`incident ${i.state}`}>
			<StateWord state={i.state} /> {i.families.length === 1 && <span class={`state ${i.state}`}>IPv{i.families[0]}</span>} <b><SubjectLink subject={i.subject} overview={overview} whole /></b> <span>{reasonOf(i)}</span>
			{' '}<span class="age">{t('since', { t: formatTime(i.since) })} · {t('forTime', { t: formatDuration(store.now() - i.since) })}</span>
			{i.phase === 'watched' && <span class="tag">{t('watched')}</span>}
			{i.flapping && <span class="tag">{t('flapping')}</span>}
			{i.acknowledged_by !== null && <span class="tag">{t('acknowledgedBy', { who: i.acknowledged_by })}</span>}
			{others.length > 0 && (
				<details>
					<summary>{t('affects', { n: i.affected_count - 1 })}</summary>
					<ul class="affected">{others.map((s) => <li key={s}><SubjectLink subject={s} overview={overview} /></li>)}</ul>
				</details>
			)}
		</li>
	);
}

/** Read again every few seconds, and at once when a state on the wall changes. */
function useIncidents() {
	const [list, setList] = useState<Incident[] | null>(null);
	useEffect(() => {
		const abort = new AbortController();
		const load = () => get<{ incidents: Incident[] }>('incidents', abort.signal).then((a) => setList(a.incidents)).catch(() => undefined);
		const timer = setInterval(load, 5000);
		const stop = store.watch(load);
		load();
		return () => { abort.abort(); clearInterval(timer); stop(); };
	}, []);
	return list;
}

export function Incidents({ overview }: { overview: Overview }) {
	const list = useIncidents();
	return (
		<section class={`incidents ${list?.length ? 'some' : ''}`} aria-labelledby="incidents">
			<h2 id="incidents">{list === null ? t('loading') : list.length === 0 ? t('noIncidents') : t('incidents', { n: list.length })}</h2>
			{list !== null && list.length > 0 && <ul>{list.map((i) => <IncidentRow key={i.id} incident={i} overview={overview} />)}</ul>}
		</section>
	);
}

/** Those that one subject is the cause of, or is affected by: why it is as it is. Nothing where there are none. */
export function IncidentsOf({ kind, id }: { kind: Kind; id: string }) {
	const { overview } = useStore();
	const names = [`${kind}/${id}`, ...(kind === 'host' ? [`agent/${id}`] : [])];
	const list = useIncidents()?.filter((i) => i.affected.some((a) => names.includes(a)));
	if (!overview || !list?.length)
		return null;
	return (
		<section class="incidents some" aria-labelledby="incidents">
			<h2 id="incidents">{t('incidents', { n: list.length })}</h2>
			<ul>{list.map((i) => <IncidentRow key={i.id} incident={i} overview={overview} />)}</ul>
		</section>
	);
}

/* ---- the ledger as bars */

const spans = { span24h: 1, span7d: 7, span30d: 30, span90d: 90 } as const;

/** planned: when work was planned, as a band below what was measured: it hides none of it. */
function Bar({ label, stretches, planned = [], from, to }: { label: string; stretches: [number, number, State][]; planned?: [number, number][]; from: number; to: number }) {
	const place = (s: number) => ((s - from) / (to - from) * 1000).toFixed(2);
	const bad = stretches.filter(([, , s]) => s !== 'up' && s !== 'none')
		.concat(planned.map(([a, b]): [number, number, State] => [a, b, 'maintenance'])).sort((a, b) => a[0] - b[0]);
	return (
		<div class="ledger-row">
			<span class="ledger-name">{label}</span>
			<svg class="ledger" viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label={`${label}: ${bad.length === 0 ? t('up') : bad.slice(-20).map(([a, b, s]) => `${t(s as Key)} ${formatTime(a)} – ${formatTime(b)}`).join('; ')}`}>
				{/* What is short is drawn over what is long, and never thinner than can be seen. */}
				{stretches.slice().sort((a, b) => (a[2] === 'up' ? 0 : 1) - (b[2] === 'up' ? 0 : 1)).map(([a, b, s]) => (
					<rect key={`${a}${s}`} class={`stretch ${s}`} x={place(Math.max(a, from))} y={s === 'up' ? 4 : 0} height={s === 'up' ? 12 : 20}
						width={String(Math.max(s === 'up' ? 0 : 1.5, (Math.min(b, to) - Math.max(a, from)) / (to - from) * 1000))}>
						<title>{`${t(s as Key)} ${formatTime(a)} – ${formatTime(b)} (${formatDuration(b - a)})`}</title>
					</rect>
				))}
				{planned.map(([a, b]) => (
					<rect key={`p${a}`} class="stretch maintenance" x={place(Math.max(a, from))} y={13} height={7}
						width={String(Math.max(1.5, (Math.min(b, to) - Math.max(a, from)) / (to - from) * 1000))}>
						<title>{`${t('maintenance')} ${formatTime(a)} – ${formatTime(b)} (${formatDuration(b - a)})`}</title>
					</rect>
				))}
			</svg>
		</div>
	);
}

export function Bars({ kind, id }: { kind: Kind; id: string }) {
	const [span, setSpan] = useState<keyof typeof spans>('span24h');
	const [ledger, setLedger] = useState<(Ledger & { from: number; to: number }) | null>(null);
	useEffect(() => {
		const abort = new AbortController();
		const load = () => {
			const to = Math.floor(store.now()), from = to - spans[span] * 86400;
			get<Ledger>('ledger?' + query({ subject: `${kind}/${id}`, from, to }), abort.signal).then((l) => setLedger({ ...l, from, to })).catch(() => undefined);
		};
		const timer = setInterval(load, 10_000);
		const stop = store.watch(load);
		load();
		return () => { abort.abort(); clearInterval(timer); stop(); };
	}, [kind, id, span]);
	if (!ledger || ledger.begin === null)
		return null;
	return (
		<section class="bars" aria-labelledby="ledger">
			<header>
				<h2 id="ledger">{t('ledger')}</h2>
				<span class="choice" role="group" aria-label={t('span')}>
					{(Object.keys(spans) as (keyof typeof spans)[]).map((s) => <button key={s} type="button" aria-pressed={s === span} onClick={() => setSpan(s)}>{t(s)}</button>)}
				</span>
				<span class="note">{formatTime(ledger.from)} – {formatTime(ledger.to)}{ledger.revisions > 0 && ` · ${t('revised')}`}</span>
			</header>
			<Bar label={t('wholeSubject')} stretches={ledger.whole} planned={ledger.planned} from={ledger.from} to={ledger.to} />
			{ledger.v4.length > 0 && <Bar label="IPv4" stretches={ledger.v4} from={ledger.from} to={ledger.to} />}
			{ledger.v6.length > 0 && <Bar label="IPv6" stretches={ledger.v6} from={ledger.from} to={ledger.to} />}
		</section>
	);
}

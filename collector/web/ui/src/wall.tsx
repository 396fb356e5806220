// The wall: units as tiles with their systems, the worst first, both families side by side.
import { useMemo } from 'preact/hooks';
import { type Overview, type System, type Total, type Unit, worry, worstFirst } from './api';
import { Incidents } from './judged';
import { CountList, Legend, Pair, Shape, StateWord } from './marks';
import { href, setQuery, store, usePlace, useStore } from './store';
import { type Key, formatDuration, nameOf, t } from './words';

function Totals({ title, of }: { title: string; of: Total }) {
	return (
		<section class="total" aria-label={title}>
			<h2>{title}</h2>
			<ul class="big">
				{worry.filter((s) => s !== 'none').map((s) => (
					<li key={s} class={of.states[s] ? s : 'zero'}><Shape state={s} /><b>{of.states[s]}</b> <span>{t(s as Key)}</span></li>
				))}
			</ul>
			<dl class="families">
				<dt>IPv4</dt><dd><CountList counts={of.v4} /></dd>
				<dt>IPv6</dt><dd><CountList counts={of.v6} /></dd>
			</dl>
		</section>
	);
}

/** What is wrong, in words: with one family alone, that one is named. */
function wordsOf({ state, v4, v6 }: System) {
	if (state === 'maintenance')
		return t(state);
	if (v4 !== v6 && v4 === 'up')
		return `IPv6 ${t(v6 as Key)}`;
	if (v4 !== v6 && v6 === 'up')
		return `IPv4 ${t(v4 as Key)}`;
	return t(state as Key);
}

function SystemRow({ system }: { system: System }) {
	const isBad = system.state === 'down' || system.state === 'degraded';
	return (
		<li class={`system ${system.state}`}>
			<div>
				<a href={href('systems/' + system.id)}><bdi>{nameOf(system)}</bdi></a>
				{system.state !== 'up' && <span class="why">{wordsOf(system)}{isBad && system.since ? ' ' + formatDuration(store.now() - system.since) : ''}</span>}
			</div>
			<Pair v4={system.v4} v6={system.v6} />
		</li>
	);
}

function Tile({ unit, systems }: { unit: Unit; systems: System[] }) {
	return (
		<section class={`tile ${unit.state}`} aria-labelledby={'u-' + unit.id}>
			<header>
				<h3 id={'u-' + unit.id}><bdi>{nameOf(unit)}</bdi></h3>
				<StateWord state={unit.state} />
			</header>
			<ul>{systems.map((s) => <SystemRow key={s.id} system={s} />)}</ul>
		</section>
	);
}

const fits = (x: { id: string; name: string; name_en: string }, text: string) =>
	[x.id, x.name, x.name_en].some((w) => w.toLowerCase().includes(text));

function tilesOf(o: Overview, text: string) {
	const by = new Map<string, System[]>();
	for (const s of o.systems)
		by.set(s.unit, [...by.get(s.unit) ?? [], s]);
	const tiles = o.units.map((unit) => {
		const all = (by.get(unit.id) ?? []).slice().sort(worstFirst);
		return { unit, systems: text && !fits(unit, text) ? all.filter((s) => fits(s, text)) : all };
	});
	return tiles.filter((x) => !text || fits(x.unit, text) || x.systems.length > 0)
		.sort((a, b) => worstFirst(a.unit, b.unit));
}

export function Wall() {
	const { overview } = useStore();
	const text = (usePlace().query.get('q') ?? '').trim().toLowerCase();
	const tiles = useMemo(() => overview ? tilesOf(overview, text) : [], [overview, text]);
	if (!overview)
		return <p class="wait">{t('loading')}</p>;
	return (
		<>
			<h1 class="hidden">{t('wall')}</h1>
			<div class="totals">
				<Totals title={t('systemsCount', { n: overview.totals.systems.count })} of={overview.totals.systems} />
				<Totals title={t('linksCount', { n: overview.totals.links.count })} of={overview.totals.links} />
				<div class="tools">
					<label for="search">{t('searchSystems')}</label>
					<input id="search" type="search" value={text} onInput={(e) => setQuery({ q: e.currentTarget.value })} />
					<p>{t('unitsCount', { n: tiles.length })} · {t('worstFirst')}</p>
				</div>
			</div>
			<Incidents overview={overview} />
			<div class="tiles">{tiles.map((x) => <Tile key={x.unit.id} {...x} />)}</div>
			<Legend />
		</>
	);
}

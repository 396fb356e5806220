// Sites and their links: a tree that opens level by level, a list of what is not up, a grid of all of them.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { type Named, type Site, type Sites, get, query } from './api';
import { CountList, Legend, Pair, StateWord } from './marks';
import { href, place, setQuery, store, usePlace, useStore } from './store';
import { type Key, currentLanguage, formatDuration, nameOf, t } from './words';

const page = 200;

/** Asks again when links have changed, at most once a second. */
function useSites(path: string): { answer: Sites | null; error: string } {
	const [answer, setAnswer] = useState<Sites | null>(null);
	const [error, setError] = useState('');
	useEffect(() => {
		const abort = new AbortController();
		let timer = 0;
		const load = () => get<Sites>(path, abort.signal).then((a) => { setAnswer(a); setError(''); })
			.catch((e) => abort.signal.aborted || setError(e.message));
		const stop = store.watch((c) => {
			if (c && c.links.length === 0 && c.sites.length === 0)
				return;
			clearTimeout(timer);
			timer = window.setTimeout(load, 300 + Math.random() * 500);
		});
		load();
		return () => { abort.abort(); clearTimeout(timer); stop(); };
	}, [path]);
	return { answer, error };
}

function SiteCells({ site }: { site: Site }) {
	return (
		<>
			<td>{t(site.level as Key)}</td>
			<td><Pair v4={site.v4} v6={site.v6} /></td>
			<td><StateWord state={site.state} /></td>
			<td class="since">{site.since && site.state !== 'none' ? formatDuration(store.now() - site.since) : ''}</td>
			<td>{site.below && <CountList counts={site.below} />}</td>
		</>
	);
}

const siteHref = (s: Site) => s.link ? href('links/' + s.link) : href('sites/' + s.id);

function Heads() {
	return (
		<thead><tr>
			<th scope="col">{t('site')}</th><th scope="col">{t('level')}</th><th scope="col">{t('link')}</th>
			<th scope="col">{t('state')}</th><th scope="col">{t('sinceWord')}</th><th scope="col">{t('below')}</th>
		</tr></thead>
	);
}

/* ---- the tree */

const openIds = () => (place().query.get('open') ?? 'city').split('.').filter(Boolean);

function toggle(id: string) {
	const ids = openIds();
	setQuery({ open: (ids.includes(id) ? ids.filter((x) => x !== id) : [...ids, id]).join('.') || '-' });
}

function Branch({ parent, depth }: { parent: string; depth: number }) {
	const { answer, error } = useSites('sites?' + query({ parent, limit: 1000 }));
	const ids = openIds();
	if (error)
		return <tr><td colSpan={6} class="error">{t('failed', { why: error })}</td></tr>;
	if (!answer)
		return <tr><td colSpan={6} class="wait">{t('loading')}</td></tr>;
	return (
		<>
			{answer.sites.map((s) => {
				const isOpen = ids.includes(s.id);
				return (
					<>
						<tr key={s.id} class={s.state}>
							<th scope="row">
								<span class={`depth depth${depth}`}>
									{s.children > 0
										? <button type="button" class="fold" aria-expanded={isOpen} onClick={() => toggle(s.id)}
											aria-label={t(isOpen ? 'collapse' : 'expand', { name: nameOf(s) })}>{isOpen ? '▾' : '▸'}</button>
										: <span class="fold" />}
									<a href={siteHref(s)}><bdi>{nameOf(s)}</bdi></a>
								</span>
							</th>
							<SiteCells site={s} />
						</tr>
						{isOpen && s.children > 0 && <Branch key={s.id + '/'} parent={s.id} depth={depth + 1} />}
					</>
				);
			})}
		</>
	);
}

/* ---- lists */

export const Path = ({ path }: { path: Named[] }) => (
	<span class="path">{path.map((p, i) => <>{i > 0 && ' › '}<bdi>{nameOf(p)}</bdi></>)}</span>
);

function List({ text, state }: { text: string; state: string }) {
	const [limit, setLimit] = useState(page);
	const { answer, error } = useSites('sites?' + query({ q: text, state, limit }));
	if (error)
		return <p class="error">{t('failed', { why: error })}</p>;
	if (!answer)
		return <p class="wait">{t('loading')}</p>;
	return (
		<>
			<p role="status">{answer.total ? t('found', { n: answer.total }) : t(text ? 'noneFound' : 'allUp')}</p>
			{answer.total > 0 && (
				<table class="sites">
					<Heads />
					<tbody>
						{answer.sites.map((s) => (
							<tr key={s.id} class={s.state}>
								<th scope="row"><a href={siteHref(s)}><bdi>{nameOf(s)}</bdi></a>{s.path && <Path path={s.path} />}</th>
								<SiteCells site={s} />
							</tr>
						))}
					</tbody>
				</table>
			)}
			{answer.total > answer.sites.length && (
				<button type="button" onClick={() => setLimit(Math.min(limit + page, 5000))}>{t('more', { n: Math.min(page, answer.total - limit) })}</button>
			)}
		</>
	);
}

/* ---- the grid: every site a cell, left half IPv4, right half IPv6 */

function Cell({ site }: { site: Site }) {
	const words = `${nameOf(site)} IPv4 ${t(site.v4 as Key)} IPv6 ${t(site.v6 as Key)}`;
	return <a class={`cell l-${site.v4} r-${site.v6}`} href={siteHref(site)} title={words} aria-label={words} />;
}

function groupsOf(sites: Site[]) {
	const by = new Map(sites.map((s) => [s.id, s]));
	const groups = new Map<string, Site[]>();
	for (const s of sites) {
		let top = s;
		while (top.level !== 'county' && by.has(top.parent))
			top = by.get(top.parent)!;
		groups.set(top.id, [...groups.get(top.id) ?? [], s]);
	}
	return [...groups].map(([id, list]) => ({ site: by.get(id)!, list }));
}

function Grid() {
	const roots = useSites('sites').answer;
	const { answer, error } = useSites('sites?' + query({ under: roots?.sites[0]?.id ?? 'city', limit: 5000 }));
	if (error)
		return <p class="error">{t('failed', { why: error })}</p>;
	if (!answer)
		return <p class="wait">{t('loading')}</p>;
	return (
		<div class="grid" data-cells={answer.sites.length}>
			{groupsOf(answer.sites).map(({ site, list }) => (
				<section key={site.id} aria-label={nameOf(site)}>
					<h2><a href={siteHref(site)}><bdi>{nameOf(site)}</bdi></a> <Pair v4={site.v4} v6={site.v6} /></h2>
					<div class="cells">{list.map((s) => <Cell key={s.id} site={s} />)}</div>
				</section>
			))}
		</div>
	);
}

/* ---- all of it */

export function Tree() {
	const { overview } = useStore();
	const q = usePlace().query;
	const text = q.get('q') ?? '', state = q.get('state') ?? '', view = q.get('view') ?? '';
	// The page draws itself again every second: 1,500 cells need not.
	const grid = useMemo(() => <Grid />, [currentLanguage()]);
	const isList = text !== '' || state !== '';
	return (
		<>
			<div class="bar">
				<h1>{t('sites')}</h1>
				{overview && <CountList counts={overview.totals.links.states} all />}
				<div class="choice" role="group" aria-label={t('state')}>
					<button type="button" aria-pressed={!isList && view !== 'grid'} onClick={() => setQuery({ view: undefined, state: undefined, q: undefined })}>{t('tree')}</button>
					<button type="button" aria-pressed={!isList && view === 'grid'} onClick={() => setQuery({ view: 'grid', state: undefined, q: undefined })}>{t('grid')}</button>
					<button type="button" aria-pressed={state === 'notup'} onClick={() => setQuery({ state: state === 'notup' ? undefined : 'notup' })}>{t('onlyNotUp')}</button>
				</div>
				<label for="search" class="hidden">{t('searchSites')}</label>
				<input id="search" type="search" value={text} placeholder={t('searchSites')} onInput={(e) => setQuery({ q: e.currentTarget.value })} />
			</div>
			{isList ? <List key={text + state} text={text} state={state} />
				: view === 'grid' ? grid
					: <table class="sites"><Heads /><tbody><Branch parent="" depth={0} /></tbody></table>}
			<Legend />
		</>
	);
}

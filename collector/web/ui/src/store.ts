// The overview, kept up to date by server-sent events, and the place in the page (the hash), for all views.
import { useEffect, useReducer } from 'preact/hooks';
import { type Agent, type Clock, type Overview, type System, type Totals, type Unit, type State, get } from './api';
import { type Language, setLanguage } from './words';

const silence = 15_000; // three ticks of the collector

export interface Change {
	systems: { id: string; state: State; v4: State; v6: State }[];
	links: { id: string; state: State; v4: State; v6: State }[];
	sites: { id: string }[];
	checks: string[];
}

class Store {
	overview: Overview | null = null;
	error = '';
	lost = false;
	offset = 0; // of the collector's clock to this one, ms
	heardAt = 0;
	private heardMono = 0;
	private listeners = new Set<() => void>();
	private watchers = new Set<(c: Change | null) => void>();
	private source: EventSource | null = null;

	start() {
		this.load();
		setInterval(() => this.watchSilence(), 1000);
	}

	now = () => (Date.now() + this.offset) / 1000;

	listen(f: () => void) {
		this.listeners.add(f);
		return () => void this.listeners.delete(f);
	}

	/** f hears what changed; null: anything may have. */
	watch(f: (c: Change | null) => void) {
		this.watchers.add(f);
		return () => void this.watchers.delete(f);
	}

	private tell() {
		this.listeners.forEach((f) => f());
	}

	async load() {
		try {
			this.overview = await get<Overview>('overview');
			this.error = '';
			this.heard(this.overview);
			this.watchers.forEach((f) => f(null));
			if (!this.source)
				this.open(this.overview.version);
		} catch (e) {
			this.error = (e as Error).message;
			setTimeout(() => this.load(), 3000);
		}
		this.tell();
	}

	private heard(c: Clock) {
		this.heardAt = Date.now();
		this.heardMono = performance.now();
		this.offset = c.now * 1000 - this.heardAt;
		this.lost = false;
	}

	/** By both clocks: one stands still while the machine sleeps, the other may be put back. */
	private watchSilence() {
		if (this.heardAt && (performance.now() - this.heardMono > silence || Math.abs(Date.now() - this.heardAt) > silence))
			this.lost = true;
		this.tell();
	}

	private open(version: string) {
		const source = this.source = new EventSource('/api/v1/events?since=' + version);
		source.addEventListener('change', (e) => this.onChange(JSON.parse(e.data)));
		source.addEventListener('tick', (e) => this.onTick(JSON.parse(e.data)));
		// Changes that come before the new overview is here would be lost under it: they are asked for from its version on.
		source.addEventListener('reset', () => {
			source.close();
			this.source = null;
			this.load();
		});
		source.onerror = () => {
			if (source.readyState !== EventSource.CLOSED)
				return; // it tries again by itself
			this.source = null;
			setTimeout(() => this.load(), 3000);
		};
	}

	private onTick(tick: Clock & { agents: Agent[] }) {
		this.heard(tick);
		if (this.overview)
			this.overview = { ...this.overview, newest: tick.newest, peers: tick.peers, judged: tick.judged, agents: patch(this.overview.agents, tick.agents) };
		this.tell();
	}

	private onChange(c: Change & Clock & { totals: Totals; units: Unit[]; agents: Agent[] }) {
		this.heard(c);
		if (this.overview)
			this.overview = {
				...this.overview, newest: c.newest, peers: c.peers, judged: c.judged, totals: c.totals,
				units: patch(this.overview.units, c.units),
				systems: patch(this.overview.systems, c.systems as System[]),
				agents: patch(this.overview.agents, c.agents),
			};
		this.watchers.forEach((f) => f(c));
		this.tell();
	}
}

function patch<T extends { id: string }>(all: T[], changed: T[]): T[] {
	if (changed.length === 0)
		return all;
	const by = new Map(changed.map((c) => [c.id, c]));
	return all.map((x) => by.has(x.id) ? { ...x, ...by.get(x.id) } : x);
}

export const store = new Store();

/** Draws the component again on every change, and every second. */
export function useStore(): Store {
	const [, again] = useReducer((n: number) => n + 1, 0);
	useEffect(() => store.listen(() => again(undefined as never)), []);
	return store;
}

/* ---- the place: #/path?key=value, so that every view is a link */

export interface Place { path: string[]; query: URLSearchParams }

export function place(): Place {
	const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
	return { path: path.split('/').filter(Boolean).map(safeDecode), query: new URLSearchParams(query ?? '') };
}

function safeDecode(text: string) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

export function href(path: string, values: Record<string, string | undefined> = {}): string {
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(values)) {
		if (v)
			q.set(k, v);
	}
	const text = q.toString();
	return `#/${path}${text ? '?' + text : ''}`;
}

/** Changes values of the present place without a step in the history. */
export function setQuery(values: Record<string, string | undefined>) {
	const p = place();
	for (const [k, v] of Object.entries(values)) {
		if (v)
			p.query.set(k, v);
		else
			p.query.delete(k);
	}
	const text = p.query.toString();
	history.replaceState(null, '', `#/${p.path.map(encodeURIComponent).join('/')}${text ? '?' + text : ''}`);
	dispatchEvent(new HashChangeEvent('hashchange'));
}

export function usePlace(): Place {
	const [, again] = useReducer((n: number) => n + 1, 0);
	useEffect(() => {
		const f = () => again(undefined as never);
		addEventListener('hashchange', f);
		return () => removeEventListener('hashchange', f);
	}, []);
	return place();
}

/* ---- what a person chose: in the link when it stands there, else remembered */

function remembered(key: string): string | null {
	try {
		return localStorage.getItem('xunjian-' + key);
	} catch {
		return null;
	}
}

function remember(key: string, value: string) {
	try {
		localStorage.setItem('xunjian-' + key, value);
	} catch { /* private window: only this page knows */ }
}

let chosenTheme = '';
let chosenLanguage = '';

export function applyChoices(): { language: Language; theme: string } {
	const q = place().query;
	const language = q.get('lang') ?? (chosenLanguage || remembered('lang') || 'zh');
	const theme = q.get('theme') ?? (chosenTheme || remembered('theme') ||
		(matchMedia('(prefers-color-scheme: dark)').matches ? 'night' : 'day'));
	setLanguage(language === 'en' ? 'en' : 'zh');
	document.documentElement.dataset.theme = theme === 'night' ? 'night' : 'day';
	return { language: language === 'en' ? 'en' : 'zh', theme: theme === 'night' ? 'night' : 'day' };
}

export function chooseLanguage(l: Language) {
	chosenLanguage = l;
	remember('lang', l);
	setQuery({ lang: place().query.has('lang') ? l : undefined });
}

export function chooseTheme(theme: string) {
	chosenTheme = theme;
	remember('theme', theme);
	setQuery({ theme: place().query.has('theme') ? theme : undefined });
}

// What the collector answers (collector/web/api.c, graph.c), and how it is asked.
export type State = 'none' | 'up' | 'maintenance' | 'unknown' | 'degraded' | 'down';
export type Counts = Record<State, number>;
export const worry: State[] = ['down', 'degraded', 'unknown', 'maintenance', 'up', 'none'];

export interface States { state: State; v4: State; v6: State; since: number | null }
export interface Unit { id: string; name: string; name_en: string; state: State; systems: Counts }
export interface System extends States { id: string; name: string; name_en: string; unit: string; checks: number }
export interface Agent { id: string; name: string; name_en: string; site: string; state: 'heard' | 'lost' | 'never'; seen: number | null }
export interface Peers { ingest: boolean; series: boolean; judge: boolean; render: boolean }
/** judged: states of subjects go by votes; else they are the latest outcomes. */
export interface Clock { now: number; newest: number | null; peers: Peers; judged: boolean }
export interface Totals { units: number; systems: Total; links: Total }
export interface Total { count: number; states: Counts; v4: Counts; v6: Counts }
export interface Overview extends Clock {
	version: string; name: string; totals: Totals; units: Unit[]; systems: System[]; agents: Agent[];
}
/** 0: what a host says of itself. */
export type Family = 0 | 4 | 6;
export interface Row {
	vantage: string; family: Family; part: number; part_name: string; address: string; state: State;
	outcome: string; reason: string; reason_zh?: string; measured: number | null; since: number | null; old: boolean; gone: boolean;
}
export interface Check {
	id: string; type: string; target?: string; subject: string; interval: number; priority: boolean;
	v4: State; v6: State; pair?: 'up' | 'v4-only' | 'v6-only' | 'down' | 'unknown'; families: Family[]; vantages: { id: string; name: string; name_en: string }[]; rows: Row[];
}
export interface Named { id: string; name: string; name_en: string }
export interface Ref extends States, Named { kind: Kind }
export type Kind = 'system' | 'link' | 'site' | 'host';
export interface Subject extends States, Named, Clock {
	checks: number; list: Check[]; unit?: Named; depends?: Ref[]; dependents?: Ref[];
	path?: Named[]; site?: Named; link?: Ref; ipv4?: string; ipv6?: string;
}
export interface Site extends Named {
	level: 'city' | 'county' | 'town' | 'village'; parent: string; children: number; state: State; v4: State; v6: State;
	link?: string; since?: number | null; path?: Named[]; below?: Counts;
}
export interface Sites { sites: Site[]; total: number; offset: number }
export interface Column { metric: number; name: string; unit: string; label_zh: string; label_en: string; drawn: number; function: 'average' | 'min' | 'max'; values: (number | null)[] }
export interface Values { start: number; step: number; rows: number; columns: Column[] }

export interface Incident {
	id: number; phase: 'open' | 'watched' | 'closed'; subject: string; state: State; families: number[]; reason: string; reason_zh?: string; since: number; opened: number;
	closed: number | null; flapping: boolean; acknowledged_by: string | null; affected_count: number; affected: string[];
}
export interface Ledger {
	reached: number | null; begin: number | null; revisions: number;
	whole: [number, number, State][]; v4: [number, number, State][]; v6: [number, number, State][];
	planned: [number, number][];
}

export class Failure extends Error {
	constructor(readonly status: number, words: string) { super(words); }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
	const answer = await fetch('/api/v1/' + path, { signal, headers: { Accept: 'application/json' } });
	if (!answer.ok) {
		let words = `HTTP ${answer.status}`;
		try {
			words = (await answer.json()).error ?? words;
		} catch { /* not ours: the status must do */ }
		throw new Failure(answer.status, words);
	}
	return answer.json();
}

export const query = (values: Record<string, string | number | undefined>) =>
	Object.entries(values).filter(([, v]) => v !== undefined && v !== '')
		.map(([k, v]) => `${k}=${encodeURIComponent(String(v))}`).join('&');

export const worstFirst = (a: { state: State }, b: { state: State }) => worry.indexOf(a.state) - worry.indexOf(b.state);

// States as colour, shape and word together; unknown is grey and hatched, never green or red.
import { type Counts, type State, worry } from './api';
import { type Key, t } from './words';

const shapes: Record<State, string> = {
	up: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm-1 9L4 8l1.2-1.2L7 8.6l3.8-3.8L12 6Z',
	down: 'M2 2h12v12H2Zm3 1.6L3.6 5l3 3-3 3L5 12.4l3-3 3 3 1.4-1.4-3-3 3-3L11 3.6l-3 3Z',
	degraded: 'M8 1l7.2 13H.8Zm-1 4.5.3 4.5h1.4L9 5.5ZM7.2 11v1.6h1.6V11Z',
	unknown: 'M8 1l7 7-7 7-7-7Zm-2.2 5.6h1.4c0-.6.3-.9.8-.9.9 0 1 1 .2 1.5-.7.5-1 .9-1 1.8h1.4c0-.6.3-.8.9-1.3C10.900 6.400 10 4.400 8 4.400c-1.300 0-2.200.9-2.200 2.200ZM7.200 9.900v1.500h1.500V9.900Z',
	maintenance: 'M3 3h4v10H3Zm6 0h4v10H9Z',
	none: 'M2 7h12v2H2Z',
};

export function Shape({ state }: { state: State }) {
	return <svg class="shape" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d={shapes[state]} fill-rule="evenodd" /></svg>;
}

/** Shape and word. */
export function StateWord({ state }: { state: State }) {
	return <span class={`state ${state}`}><Shape state={state} /> {t(state as Key)}</span>;
}

/** One family of one thing: "4" or "6" with its shape; the word is read out, and shown when it is not up. */
export function Mark({ family, state }: { family: 4 | 6; state: State }) {
	return (
		<span class={`mark ${state}`} title={`IPv${family} ${t(state as Key)}`}>
			<span class="digit" aria-hidden="true">{family}</span><Shape state={state} />
			<span class="hidden">IPv{family} {t(state as Key)}</span>
		</span>
	);
}

export function Pair({ v4, v6 }: { v4: State; v6: State }) {
	return <span class="pair"><Mark family={4} state={v4} /><Mark family={6} state={v6} /></span>;
}

/** How many are in each state, the worst first; zeros of the good and the unwatched are left out. */
export function CountList({ counts, all }: { counts: Counts; all?: boolean }) {
	const shown = worry.filter((s) => all ? s !== 'none' || counts.none > 0 : counts[s] > 0);
	return (
		<span class="counts">
			{shown.map((s) => (
				<span key={s} class={`count ${counts[s] ? s : 'zero'}`}><Shape state={s} /> {counts[s]}<span class="word"> {t(s as Key)}</span></span>
			))}
		</span>
	);
}

export function Legend() {
	return (
		<div class="legend" role="group" aria-label={t('legend')}>
			{worry.map((s) => <StateWord key={s} state={s} />)}
			<span class="note">{t('wholePage')}</span>
		</div>
	);
}

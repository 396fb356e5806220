// The page of the collector: frame, choice of view, what is wrong with the data itself.
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Overview } from './api';
import { applyChoices, chooseLanguage, chooseTheme, href, store, usePlace, useStore } from './store';
import { CheckPage, SubjectPage } from './subject';
import { Tree } from './tree';
import { Wall } from './wall';
import { type Key, formatClock, formatDuration, formatTime, nameOf, t } from './words';
import 'uplot/dist/uPlot.min.css';
import './app.css';

/* ---- trouble with the data itself: above everything, in words */

function Trouble({ overview }: { overview: Overview | null }) {
	const { lost, heardAt, error } = store;
	const peers = overview ? (Object.keys(overview.peers) as Key[]).filter((p) => !overview.peers[p as keyof Overview['peers']]) : [];
	const gone = overview ? overview.agents.filter((a) => a.state === 'lost') : [];
	return (
		<div class="troubles" role="status">
			{lost && <p class="trouble bad">{t('collectorLost', { t: formatDuration((Date.now() - heardAt) / 1000), at: formatTime((heardAt + store.offset) / 1000) })}</p>}
			{!lost && error && <p class="trouble bad">{t('failed', { why: error })}</p>}
			{!lost && peers.length > 0 && <p class="trouble">{t('peerLost', { peers: peers.map((p) => t(p)).join('、') })}</p>}
			{!lost && overview && overview.peers.judge && !overview.judged && <p class="trouble">{t('unjudged')}</p>}
			{!lost && gone.length > 0 && <p class="trouble">{t('agentLost', { names: gone.map((a) => `${nameOf(a)}${a.seen ? ` (${t('ago', { t: formatDuration(store.now() - a.seen) })})` : ''}`).join('、') })}</p>}
		</div>
	);
}

function Agents({ overview }: { overview: Overview }) {
	return (
		<ul class="agents" aria-label={t('agents')}>
			{overview.agents.map((a) => (
				<li key={a.id}><a class={`agent ${a.state}`} href={href('agents/' + a.id)} title={a.seen ? formatTime(a.seen) : ''}>
					<span class="dot" aria-hidden="true" /><bdi>{nameOf(a)}</bdi> {t(a.state)}</a></li>
			))}
		</ul>
	);
}

function Head({ language, theme, overview }: { language: string; theme: string; overview: Overview | null }) {
	const at = usePlace().path[0] ?? '';
	const now = store.now();
	const age = overview?.newest ? now - overview.newest : null;
	return (
		<header class="frame">
			<a class="brand" href={href('')}>{t('title')}</a>
			<nav aria-label={t('title')}>
				<a href={href('')} aria-current={at === '' ? 'page' : undefined}>{t('wall')}</a>
				<a href={href('tree')} aria-current={at === 'tree' ? 'page' : undefined}>{t('sites')}</a>
				<a href={href('about')} aria-current={at === 'about' ? 'page' : undefined}>{t('about')}</a>
			</nav>
			{overview && <Agents overview={overview} />}
			<span class={`age ${age === null || age > 60 ? 'stale' : ''}`}>{t('newest')} <b>{age === null ? t('noData') : t('ago', { t: formatDuration(age) })}</b></span>
			<span class="clock">{formatClock(now)}</span>
			<button type="button" class="switch" title={t('theme')} onClick={() => chooseTheme(theme === 'night' ? 'day' : 'night')}>{t(theme === 'night' ? 'day' : 'night')}</button>
			<button type="button" class="switch" lang={language === 'zh' ? 'en' : 'zh-CN'} onClick={() => chooseLanguage(language === 'zh' ? 'en' : 'zh')}>{language === 'zh' ? 'English' : '中文'}</button>
		</header>
	);
}

function About() {
	return (
		<article class="subject">
			<h1>{t('about')}</h1>
			<p>{t('aboutText')}</p>
			<p>{t('keys')}</p>
			<h2>{t('licences')}</h2>
			<ul>
				<li>Preact — MIT License, Copyright (c) 2015-present Jason Miller</li>
				<li>uPlot — MIT License, Copyright (c) Leon Sorokin</li>
				<li>Xunjian — GPL-3.0-or-later</li>
			</ul>
			<p lang="en">MIT License: Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.</p>
		</article>
	);
}

function View() {
	const [kind, id] = usePlace().path;
	if (kind === undefined)
		return <Wall />;
	if (kind === 'tree')
		return <Tree />;
	if (kind === 'about')
		return <About />;
	if (kind === 'checks' && id)
		return <CheckPage key={id} id={id} />;
	const kinds = { systems: 'system', links: 'link', sites: 'site', agents: 'host' } as const;
	if (kind in kinds && id)
		return <SubjectPage key={kind + id} kind={kinds[kind as keyof typeof kinds]} id={id} />;
	return <div class="wait"><p>{t('notFound')}</p><p><a href={href('')}>{t('back')}</a></p></div>;
}

function onKey(e: KeyboardEvent) {
	if (e.ctrlKey || e.altKey || e.metaKey || /INPUT|SELECT|TEXTAREA/.test((e.target as HTMLElement).tagName))
		return;
	const { language, theme } = applyChoices();
	if (e.key === '/')
		document.getElementById('search')?.focus();
	else if (e.key === 'w')
		location.hash = href('');
	else if (e.key === 's')
		location.hash = href('tree');
	else if (e.key === 't')
		chooseTheme(theme === 'night' ? 'day' : 'night');
	else if (e.key === 'l')
		chooseLanguage(language === 'zh' ? 'en' : 'zh');
	else
		return;
	e.preventDefault();
}

function App() {
	const { overview, lost } = useStore();
	usePlace();
	const { language, theme } = applyChoices();
	useEffect(() => {
		document.title = overview ? `${t('title')} · ${overview.name}` : t('title');
	}, [overview?.name, language]);
	useEffect(() => {
		addEventListener('keydown', onKey);
		return () => removeEventListener('keydown', onKey);
	}, []);
	return (
		<div class={lost ? 'page is-lost' : 'page'}>
			<a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>{t('skip')}</a>
			<Head language={language} theme={theme} overview={overview} />
			<Trouble overview={overview} />
			<main id="main" tabIndex={-1}><View /></main>
		</div>
	);
}

applyChoices();
store.start();
render(<App />, document.getElementById('app')!);

import { render } from 'preact';

render(<p>巡检</p>, document.getElementById('app')!);

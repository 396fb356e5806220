# Floors (README, map): a file includes its own floor or a lower one, by paths from the root; agent and
# collector never each other; no cycles between modules, also inside a folder.
# usage: awk -f tests/floors.awk $(git ls-files '*.c' '*.h')
BEGIN {
	floor["lib"] = 0; floor["probes"] = 1; floor["agent"] = 2; floor["collector"] = 2; floor["tests"] = 3
}
function module(path) { sub(/\.[ch]$/, "", path); return path }
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, q, "\"")
	to = q[2]
	if (to ~ /\.pb-c\.h$/) next
	split(FILENAME, f, "/"); split(to, t, "/")
	if (!(t[1] in floor)) {
		printf "%s:%d: \"%s\" must start at the root of the project\n", FILENAME, FNR, to; bad = 1; next
	}
	if (f[1] != t[1] && floor[t[1]] >= floor[f[1]]) {
		printf "%s:%d: %s may not use %s\n", FILENAME, FNR, f[1], t[1]; bad = 1
	}
	a = module(FILENAME); b = module(to)
	if (a != b && !((a, b) in seen)) { seen[a, b] = 1; edges[a] = edges[a] " " b }
}
function visit(m, trail,   n, i, next_) {
	mark[m] = 1
	n = split(edges[m], next_, " ")
	for (i = 1; i <= n; i++) {
		if (mark[next_[i]] == 1) { printf "include cycle: %s %s %s\n", trail, m, next_[i]; bad = 1 }
		else if (!mark[next_[i]]) visit(next_[i], trail " " m)
	}
	mark[m] = 2
}
END {
	for (m in edges) if (!mark[m]) visit(m, "")
	exit bad
}

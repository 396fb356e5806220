/*
 * verdict_parts: what verdict*.c share. Of these files only: everyone else reads collector/judge/verdict.h.
 *
 *   verdict_fold.c    evidence, time and silence -> outcomes of parts
 *   verdict_states.c  parts -> votes -> families -> checks -> subjects
 *   verdict_roll.c    checks -> subjects, as pure functions
 *   verdict_view.c    changes, and what is asked from outside
 *   verdict_plan.c    the plan: building it, carrying state over from the one before
 *   verdict_save.c    records
 */
#ifndef COLLECTOR_JUDGE_VERDICT_PARTS_H
#define COLLECTOR_JUDGE_VERDICT_PARTS_H

#include "collector/judge/verdict.h"

struct arena;
struct map;

struct verdict_part {
	char *label, *reason;
	struct vote_stream stream;
	int64_t fresh_until; /* steady */
	struct limit_state limits[]; /* one per limit of the check */
};

struct verdict_vantage;
struct verdict_node;
struct verdict_check;

/* What one vantage says about one family of one check. */
struct verdict_vote {
	struct verdict_check *check;
	struct verdict_vantage *vantage;
	int family;
	struct verdict_part **parts;
	size_t count;
	enum vote said, vote; /* over its parts; as counted */
	int64_t said_since, since, last;
	enum limit_level level;
	bool is_dirty;
};

struct verdict_cell {
	enum vote vote;
	enum state state;
	enum limit_level level;
	bool is_path;
	int64_t since;
	int64_t contested; /* steady time since when, 0 not */
	enum state was;    /* before `since`, from was_since on */
	int64_t was_since;
};

struct verdict_check {
	char *id;
	struct verdict_node *subject; /* NULL: an anchor */
	int64_t interval;
	unsigned families;
	enum verdict_severity severity;
	uint32_t attempts, quorum;
	size_t limits_count, votes_count;
	struct limit_rule *limits;
	struct verdict_vote *votes; /* by vantage, then family */
	struct verdict_cell cells[VERDICT_FAMILIES];
	enum state state;
	enum pair pair;
	bool is_anchor, is_dirty;
	bool is_touched; /* it, or a vote on it, is dirty */
};

struct verdict_node {
	struct verdict_subject view; /* id and reason owned */
	struct verdict_check **checks;
	size_t count;
	bool is_dirty;
};

struct verdict_vantage {
	char *id;
	struct verdict_vote **votes, **anchors;
	struct verdict_node **ways;
	size_t votes_count, anchors_count, ways_count;
	int64_t heard_until; /* steady; 0 never heard */
	int64_t up_at[VERDICT_FAMILIES]; /* newest measured time of an anchor that was up */
	bool unwell[VERDICT_FAMILIES];
	bool is_silent, is_dirty;
};

struct verdict {
	struct map *checks, *nodes, *vantages;
	struct verdict_check **touched; /* to be saved, each once */
	size_t touched_count, touched_room;
	int64_t now, steady, quiet_until;
	int64_t next_scan; /* steady: nothing lapses before */
	struct verdict_counts counts;
	struct verdict_change *changes;
	size_t changes_count, changes_room;
	struct arena *texts; /* of the changes; NULL when there are none */
	struct map *dropped; /* keys of records to drop at the next save */
	bool is_dirty;
};

struct verdict_vote *verdict_find_vote(const struct verdict *, const char *check, const char *vantage, int family);
struct verdict_part *verdict_part_add(struct verdict_vote *, const char *label);
void verdict_part_free(struct verdict_part *);
/* Keys of records (room RECORD_KEY). */
const char *verdict_key_vote(const struct verdict_vote *, char *key);
const char *verdict_key_check(const struct verdict_check *, char *key);
const char *verdict_key_node(const struct verdict_node *, char *key);
const char *verdict_key_vantage(const struct verdict_vantage *, char *key);
void verdict_touch(struct verdict *, struct verdict_check *);
void verdict_touch_vote(struct verdict *, struct verdict_vote *);
void verdict_touch_again(struct verdict *); /* other checks, and what is dirty of them */
void verdict_check_free(void *);
void verdict_node_free(void *);
void verdict_vantage_free(void *);
/* What one piece of evidence, or its absence, sets off. */
struct verdict_trigger {
	int64_t since;
	const char *reason;
	bool is_silence;
	bool is_down, is_raised; /* a vote became "down"; a limit of it is passed */
	bool is_of_family;       /* it is evidence about one family: */
	int family;
};
void verdict_tell(struct verdict *, const struct verdict_change *); /* texts are copied */
void verdict_tell_vantage(struct verdict *, struct verdict_vantage *, const struct verdict_trigger *);
/* What was told of the whole (the part ""), NULL: only parts were. */
const struct verdict_part *verdict_whole(const struct verdict_vote *);
void verdict_judge_vote(struct verdict *, struct verdict_vote *, const struct verdict_trigger *);
void verdict_judge_family(struct verdict *, struct verdict_check *, int family, const struct verdict_trigger *);
void verdict_judge_vantage(struct verdict *, struct verdict_vantage *, int family, const struct verdict_trigger *);
bool verdict_is_failing(const struct verdict_vote *); /* nothing of it was up when it was looked at last */
void verdict_sooner(struct verdict *, int64_t deadline); /* steady: there is something to look at then */
/* All states from the votes as they are. */
void verdict_judge_all(struct verdict *, int64_t since);

#endif

/*
 * librrd_leaks: what the leak sanitizer is to let pass in a test that draws. librrd 1.7 loses about 600 bytes a picture
 * (names of its own info list), and the font libraries keep what they have found for ever. Include in the test's .c.
 */
#ifndef TESTS_SUPPORT_LIBRRD_LEAKS_H
#define TESTS_SUPPORT_LIBRRD_LEAKS_H

const char *__lsan_default_suppressions(void);
const char *__asan_default_options(void);

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
	return "leak:librrd\nleak:libfontconfig\nleak:libpango\nleak:libglib\n";
}

/* librrd has no frame pointers: stacks that name it need the slow way. */
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

#endif

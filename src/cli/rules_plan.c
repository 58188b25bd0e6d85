#include "rules_plan.h"

#include "../core/text.h"
#include "say.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_taken(const struct rules_plan *plan, const char *name)
{
	size_t i;

	for (i = 0; i < plan->count && strcmp(plan->app[i].name, name) != 0; i++)
		;
	return i < plan->count;
}

/* Makes a section's name an identifier: nftables takes no other names. */
static void make_name(const struct rules_plan *plan, struct rules_app *app)
{
	const char *from = app->rule->name;
	char *to = app->name;
	unsigned number;

	rules_plan_label(from, app->label, sizeof(app->label));
	if (!strcmp(from, "*"))
		from = "any";
	if (isdigit((unsigned char)*from))
		*to++ = '_';
	for (; *from && to < app->name + sizeof(app->name) - 12; from++)
		*to++ = isascii(*from) && isalnum((unsigned char)*from) ? *from : '_';
	*to = '\0';
	/* "a-b" and "a_b" */
	for (number = 2; is_taken(plan, app->name); number++)
		sprintf(to, "_%u", number);
}

static int say_leased(const struct rule *rule, bool named)
{
	char text[256];

	if (named)
		return say_failure(
			"[%s] has 'range = lease', so its ports change with each run and no "
			"rule can name them; give it a range of its own",
			rule->name);
	snprintf(text, sizeof(text),
		 "[%s] is left out: it has 'range = lease', so its ports change with each run",
		 rule->name);
	say_warning(NULL, text);
	return 0;
}

static int find_user(const char *text, uid_t *ret_uid)
{
	const struct passwd *entry = getpwnam(text);
	const char *p = text;
	uint64_t number;

	if (entry)
		*ret_uid = entry->pw_uid;
	/* (uid_t)-1 is no user, see chown(2) */
	else if (text_get_number(&p, NULL, UINT32_MAX - 1, &number) && !*p)
		*ret_uid = (uid_t)number;
	else
		return say_failure("--user: there is no user '%s'", text);
	return 0;
}

static int add_user(struct rules_app *app, uid_t uid)
{
	uid_t *user = reallocarray(app->user, app->users + 1, sizeof(*user));

	if (!user)
		return say_failure("%s", strerror(ENOMEM));
	app->user = user;
	app->user[app->users++] = uid;
	return 0;
}

/* @item: "USER" or "APP=USER"; changed */
static int add_item(struct rules_plan *plan, char *item)
{
	char *equals = strrchr(item, '='), *user = equals ? equals + 1 : item;
	size_t i, found = 0;
	uid_t uid = 0;
	int rc;

	if (equals)
		*equals = '\0';
	rc = find_user(user, &uid);
	for (i = 0; !rc && i < plan->count; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): each application has a rule */
		if (equals && strcmp(plan->app[i].rule->name, item) != 0)
			continue;
		found++;
		rc = add_user(&plan->app[i], uid);
	}
	if (!rc && !found)
		return say_failure("--user: there is no section [%s] among those that are printed",
				   item);
	return rc;
}

static int add_users(struct rules_plan *plan, const char *list)
{
	char *copy = strdup(list), *rest = copy, *item;
	int rc = copy ? 0 : say_failure("%s", strerror(ENOMEM));

	while (!rc && (item = strsep(&rest, ",")))
		rc = add_item(plan, item);
	free(copy);
	return rc;
}

static int set_marks(struct rules_plan *plan, const char *text)
{
	unsigned long long mark;
	char *rest;
	size_t i;

	errno = 0;
	mark = strtoull(text, &rest, 0);
	if (errno || !isdigit((unsigned char)*text) || *rest || !mark ||
	    mark > UINT32_MAX - plan->count)
		return say_failure("--mark: '%s' is no mark, write a number such as 1 or 0x100",
				   text);
	for (i = 0; i < plan->count; i++)
		plan->app[i].mark = (uint32_t)(mark + i);
	return 0;
}

int rules_plan_make(const struct sections *sections, bool named, const char *users,
		    const char *mark, struct rules_plan *ret_plan)
{
	struct rules_plan *plan = ret_plan;
	size_t i;
	int rc = 0;

	*plan = (struct rules_plan){ .file = sections->policy.file };
	plan->app = calloc(sections->count + 1, sizeof(*plan->app));
	if (!plan->app)
		return say_failure("%s", strerror(ENOMEM));
	for (i = 0; !rc && i < sections->count; i++) {
		plan->app[plan->count].rule = sections->rule[i];
		if (sections->rule[i]->lease) {
			rc = say_leased(sections->rule[i], named);
			continue;
		}
		make_name(plan, &plan->app[plan->count]);
		plan->count++;
	}
	if (!rc && !plan->count)
		return say_failure("no section of %s has ports of its own", plan->file);
	if (!rc && users)
		rc = add_users(plan, users);
	if (!rc && mark)
		rc = set_marks(plan, mark);
	return rc;
}

void rules_plan_free(struct rules_plan *plan)
{
	size_t i;

	for (i = 0; i < plan->count; i++)
		free(plan->app[i].user);
	free(plan->app);
}

void rules_plan_label(const char *name, char *ret_label, size_t size)
{
	char *p;

	snprintf(ret_label, size, "%s", name);
	text_make_safe(ret_label);
	for (p = ret_label; *p; p++)
		if (strchr("\"\\'", *p))
			*p = '_';
}

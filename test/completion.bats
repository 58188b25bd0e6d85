#!/usr/bin/env bats
#
# Completion in bash, zsh and fish: typed into the real shells, on a terminal where they need one.
# In bash and zsh, ctrl-x a inserts all candidates, and ctrl-o writes the line to a file.

bats_require_minimum_version 1.5.0
load lib/helpers

SCRIPTS=$ROOT/src/completion

setup() {
	common_setup
	export PATH=$BUILD:$PATH
	cat >sections.ini <<-END
		[alpha]
		range = 20000-20099
		[al-jazari]
		range = 20100-20199
		[*]
		range = 20200-20299
	END
	touch 'a file'
}

write_bashrc() {
	cat >bashrc <<-END
		PS1='ready> '
		bind '"\\C-xa": insert-completions'
		bind -x '"\\C-o": printf %s "\$READLINE_LINE" >line.new; mv line.new line'
		$1
		source '$SCRIPTS/portfence.bash'
	END
}

write_zshrc() {
	cat >.zshrc <<-END
		PS1='ready> '
		fpath=('$SCRIPTS' \$fpath)
		autoload -Uz compinit
		compinit -u -D
		zle -C all complete-word _generic
		zstyle ':completion:all::::' completer _all_matches _complete
		zstyle ':completion:all:*' insert true
		bindkey '^Xa' all
		bindkey '^I' complete-word
		write() { print -rn -- "\$BUFFER" >line.new; mv line.new line }
		zle -N write
		bindkey '^O' write
	END
}

# becomes TYPED WANTED: so the line reads in each of these shells after a tab, which is typed last
becomes() {
	local got
	rm -f line
	got=$("$BATS_TEST_DIRNAME/lib/type" "$1\t\x0f" line "${shell[@]}")
	if [ "${got%% }" != "$2" ]; then
		printf "typed  '%s'\nwanted '%s'\ngot    '%s'\n" "$1" "$2" "$got"
		return 1
	fi
}

# The candidates behind what is typed, one a line, sorted
candidates() {
	local typed=$1 got
	rm -f line
	got=$("$BATS_TEST_DIRNAME/lib/type" "$typed\x18a\x0f" line "${shell[@]}")
	read -ra words <<<"${got#"${typed%"${typed##* }"}"}"
	printf '%s\n' "${words[@]}" | sort
}

fish_candidates() {
	XDG_DATA_HOME=$PWD fish -c "source '$SCRIPTS/portfence.fish'; complete -C \$argv[1]" "$1" |
		cut -f 1 | sort
}

# The words that the help has
top() {
	{
		verbs
		printf '%s\n' help --help --version
	} | sort
}

dashed() {
	options "$1" | sed -E 's/^/--/; s/[ [].*//' | sort
}

# Every verb and every option of each, by the function $1 that lists candidates
knows_all() {
	diff <(top) <("$1" 'portfence ')
	diff <(verbs | sort) <("$1" 'portfence help ')
	for verb in $(verbs); do
		diff <(dashed "$verb") <("$1" "portfence $verb --")
	done
}

# What is the same for bash and zsh, on a terminal
completes_lines() {
	becomes 'portfence pre' 'portfence presets'
	becomes 'portfence run --ra' 'portfence run --range'
	becomes 'portfence run --range sol' 'portfence run --range solaris'
	becomes 'portfence run --range=sol' 'portfence run --range=solaris'
	becomes 'portfence run --order double' 'portfence run --order double-hash'
	becomes 'portfence run --log sysl' 'portfence run --log syslog'
	becomes 'portfence run --config sec' 'portfence run --config sections.ini'
	becomes 'portfence run --config=sec' 'portfence run --config=sections.ini'
	becomes 'portfence run --config a' 'portfence run --config a\ file'
	# sections come from the file that the line names
	becomes 'portfence run --config=sections.ini --app alp' \
		'portfence run --config=sections.ini --app alpha'
	becomes 'portfence env --config sections.ini alp' 'portfence env --config sections.ini alpha'
	PORTFENCE_CONFIG=sections.ini becomes 'portfence env al-' 'portfence env al-jazari'
	# what follows is another command's line
	becomes 'portfence run base3' 'portfence run base32'
	becomes 'portfence run --range=iana -- base3' 'portfence run --range=iana -- base32'
	becomes 'portfence run cat sect' 'portfence run cat sections.ini'
	# no more operands, so options
	becomes 'portfence presets ' 'portfence presets --'
}

@test "portfence says what may stand next, by the same words as its help" {
	complete() {
		"$PORTFENCE" --complete "$@" | cut -f 1 | sort
	}
	diff <(top) <(complete '')
	for verb in $(verbs); do
		diff <(dashed "$verb") <(complete "$verb" --)
	done
	[ "$(complete run --config sections.ini --app '')" = "$(printf '*\nal-jazari\nalpha')" ]
	[ "$(HOME=$PWD complete run --config \~/sections.ini --app '' | tail -n 1)" = alpha ]
	[ "$(complete run --range 1-2 --)" = "$(complete run --)" ]
	[ "$(complete run --seed '')" = "" ]
	[ "$(complete run --config '')" = :files ]
	[ "$(complete run -- '')" = ':command 2' ]
	[ "$(complete run --range 1-2 curl --range '')" = ':command 3' ]
	[ "$(complete env -- --)" = '' ]
	[ "$(complete walk '')" = '' ]
	[ "$(complete presets x --)" = "$(dashed presets)" ]
	diff <("$PORTFENCE" presets | sed '1d; s/ .*//' | sort) <(complete run --range '')
	grep -q "$(complete run --order '' | grep -v auto | head -n 1)" <("$PORTFENCE" run --help)
}

@test "a configuration that is broken or not there gives no sections, and no words" {
	printf '[alpha]\nrange = 1-0\n' >bad.ini
	for config in bad.ini none.ini "$PWD"; do
		run -0 --separate-stderr "$PORTFENCE" --complete run --config "$config" --app ''
		[ -z "$output$stderr" ]
	done
}

@test "no section's name steers a terminal or a shell's script" {
	printf '[%s]\nrange = %s\n' fine 20000 $'turned\xe2\x80\xae' 20001 :files 20002 ':command 1' 20003 >odd.ini
	run portfence --complete status --config odd.ini ''
	echo "$output" | cat -v
	[ "$output" = $'fine\t' ]
}

@test "bash completes what portfence has" {
	skip_missing python3
	write_bashrc "source /usr/share/bash-completion/bash_completion"
	shell=(bash --noprofile --rcfile bashrc -i)
	knows_all candidates
	completes_lines
	becomes 'portfence run --range 1-2 setsid --he' 'portfence run --range 1-2 setsid --help'
	# a section's name is quoted where a shell would take it for a pattern
	[ "$(candidates 'portfence env --config sections.ini ')" = "$(printf '\\*\nal-jazari\nalpha')" ]
}

@test "bash completes without the package bash-completion as well" {
	skip_missing python3
	write_bashrc ''
	shell=(bash --noprofile --rcfile bashrc -i)
	completes_lines
}

@test "zsh completes what portfence has" {
	skip_missing python3 zsh
	write_zshrc
	export ZDOTDIR=$PWD
	shell=(zsh -d -i)
	knows_all candidates
	completes_lines
}

@test "fish completes what portfence has" {
	skip_missing fish
	knows_all fish_candidates
	offers() {
		diff <(printf '%s\n' "${@:2}") <(fish_candidates "$1")
	}
	offers 'portfence run --range sol' solaris
	offers 'portfence run --range=sol' --range=solaris
	offers 'portfence run --config sec' sections.ini
	offers 'portfence run --config=sec' --config=sections.ini
	offers 'portfence env --config=sections.ini ' '*' al-jazari alpha
	PORTFENCE_CONFIG=sections.ini offers 'portfence env alp' alpha
	offers 'portfence run base3' base32
	offers 'portfence run --range=iana -- base3' base32
	offers 'portfence run cat sect' sections.ini
	fish_candidates 'portfence run --range 1-2 fish --' | grep -qx -e --private
}

@test "paths with blanks, quotes, dollars and newlines come through zsh's eval unharmed" {
	skip_missing zsh
	comes_through_eval zsh
}

# portfence(1) completion for bash. What may stand where is portfence's own answer.

_portfence() {
	local typed=$2 words=() at=() word line before i glue=

	# '=' and ':' are words of their own to bash (COMP_WORDBREAKS), not to portfence
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ -n $glue || $word = [=:]* ]] && ((${#words[@]})); then
			words[-1]+=$word
		else
			words+=("$word")
			at+=("$i")
		fi
		glue=
		[[ $word != *[=:] ]] || glue=1
	done
	before=${words[-1]%"$typed"}

	COMPREPLY=()
	while IFS= read -r line; do
		word=${line%%$'\t'*}
		case $line in
		:files)
			compopt -o filenames
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$typed")
			;;
		:command*)
			i=${at[${line##* }]}
			if declare -F _command_offset >/dev/null; then
				_command_offset "$i"
			elif ((i == COMP_CWORD)); then
				mapfile -t COMPREPLY < <(compgen -c -- "$typed")
			else
				compopt -o default
			fi
			;;
		"${words[-1]}"*)
			# a section may be called '*'
			printf -v word %q "${word#"$before"}"
			COMPREPLY+=("$word")
			;;
		esac
	done < <("$1" --complete "${words[@]}" 2>/dev/null)
}

complete -F _portfence portfence

# portfence(1) completion for fish. What may stand where is portfence's own answer.

function __portfence_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] --complete $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case :files
                set -l option (string match -r -- '^--[a-z]+=' "$current")
                for path in (__fish_complete_path (string replace -- "$option" '' "$current"))
                    echo "$option$path"
                end
            case ':command *'
                set -l first (math (string split ' ' -- $line)[2] + 2)
                # what is being typed has no end yet, so it is not escaped
                set -l before
                test $first -le (count $words)
                and set before (string escape -- $words[$first..-1])
                complete -C "$(string join ' ' -- $before $current)"
            case '*'
                echo $line
        end
    end
end

complete -c portfence -f -a '(__portfence_complete)'

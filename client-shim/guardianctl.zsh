#compdef guardianctl
# SPDX-License-Identifier: LGPL-2.1-or-later
# zsh completion for guardianctl(1), from its own tables.

_guardianctl()
{
    local help line word i n
    local -a command entries parts match mbegin mend

    for ((i = 2; i < CURRENT; i++)); do
        word=$words[i]
        case $word in
        --config | --socket | --admin-socket) ((i++)) ;;
        -*) (($#command == 0)) || break ;;
        *) command+=("$word") ;;
        esac
    done
    # One word or two, whichever is a command or a group of them.
    help=$("$words[1]" help $command[1,2] 2>/dev/null) ||
        help=$("$words[1]" help $command[1,1] 2>/dev/null) || return 1
    n=$(($#command + 1))
    for line in ${(f)help}; do
        # "  -h, --help        show this and exit", "  account create NAME   ..."
        if [[ $words[CURRENT] == -* ]]; then
            [[ $line =~ '^  (-., )?(--[a-z-]+)( [^ ]+)?  *(.*)$' ]] &&
                entries+=("$match[2]:${match[4]//:/\\:}")
        elif [[ $line =~ '^  ([a-z][^ ]*( [^ ]+)*)   *(.*)$' ]]; then
            parts=(${(z)match[1]})
            word=$parts[n] help=${match[3]//:/\\:}
            [[ $word =~ '^[a-z-]+$' ]] || continue
            # A group of several is told as one.
            i=${entries[(I)$word:*]}
            ((i)) && entries[i]="$word:..." || entries+=("$word:$help")
        fi
    done
    if (($#entries)); then
        _describe -t commands guardianctl entries
    else
        _files
    fi
}

_guardianctl "$@"

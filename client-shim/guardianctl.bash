# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for guardianctl(1), from its own tables.

_guardianctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} i word help
    local -a command=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --config | --socket | --admin-socket) ((i++)) ;;
        -*) [ ${#command[@]} -eq 0 ] || break ;;
        *) command+=("$word") ;;
        esac
    done
    # One word or two, whichever is a command or a group of them.
    help=$("${COMP_WORDS[0]}" help "${command[@]:0:2}" 2>/dev/null) ||
        help=$("${COMP_WORDS[0]}" help "${command[@]:0:1}" 2>/dev/null) ||
        return
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(
            grep -oE -- '^  (-., )?--[a-z-]+' <<<"$help" | grep -oE -- '--.*'
        )" -- "$cur")
        return
    fi
    # "  account create NAME   ...": the word at this place.
    mapfile -t COMPREPLY < <(compgen -W "$(
        grep -E '^  [a-z]' <<<"$help" |
            awk -v n=$((${#command[@]} + 1)) '$n ~ /^[a-z-]+$/ { print $n }' |
            sort -u
    )" -- "$cur")
}
complete -o default -F _guardianctl guardianctl

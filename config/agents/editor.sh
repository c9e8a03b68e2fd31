#!/bin/sh
# A demo agent without a model: it makes one brief of what the others found.
# Their results stand in its prompt; it knows nothing else of them.
export LC_ALL=C

think() {
    printf '%s\n' "· $*"
    sleep 0.4
}

prompt=$(cat)

# The findings are the lines "- **Name**: value" of the prompt.
findings=$(printf '%s\n' "$prompt" | sed -n 's/^[[:space:]]*\(- \*\*[^*]*\*\*: .*\)$/\1/p')
finding() {
    printf '%s\n' "$findings" | sed -n "s/^- \*\*$1\*\*: //p" | head -n 1
}
number() {
    finding "$1" | sed 's/[^0-9].*//'
}

found=$(printf '%s\n' "$findings" | grep -c '^- ')
think "Three colleagues sent me $found findings."
if [ "$found" -eq 0 ]; then
    echo 'editor: there are no findings in my prompt' >&2
    exit 1
fi

files=$(number Files)
lines=$(number Lines)
day=$(number Changed)
texts=$(finding Lines | sed 's/.* in \([0-9]*\) texts.*/\1/')
think "I put them in order and look for the sentence behind them."

case ${day:-0} in
0) pace="It has been quiet: nothing changed within a day." ;;
1) pace="One file changed within a day." ;;
*) pace="It is being worked on: $day files changed within a day." ;;
esac
if [ "${texts:-0}" -gt 0 ]; then
    shape="A text has $((lines / texts)) lines on average, $(finding 'Typical length') typically."
else
    shape="There is no text in it."
fi
think "Done. One brief, ready to be read."

cat <<END
<result>
# $(basename "$PWD") in brief

${files:-0} files, ${lines:-0} lines. $shape $pace

$findings
</result>
END

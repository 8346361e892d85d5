# Sends one image to Weir over the Open Inference Protocol v2. Needs: URL, MODEL, SECONDS_MAX; sh, awk, sed and curl.
deadline=$(( $(date +%s) + SECONDS_MAX ))
until curl -fsS -m 5 "$URL/v2/health/ready"; do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "$URL is not ready after $SECONDS_MAX s: are there workers, and is a plan committed?" >&2
    exit 1
  fi
  sleep 1
done
# [-1,3,32,32]: any number of images; the rest is one image.
shape=$(curl -fsS -m 5 "$URL/v2/models/$MODEL" | sed 's/"outputs".*//; s/.*"shape":\[-1,\([0-9,]*\)\].*/\1/')
case $shape in
*[!0-9,]* | '') echo "the description of $MODEL names no shape: $shape" >&2; exit 1 ;;
esac
body=$(echo "$shape" | awk -F , '{
  n = 1; for (i = 1; i <= NF; i++) n *= $i
  printf "{\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[1,%s],\"data\":[0.5", $0
  for (i = 1; i < n; i++) printf ",0.5"
  printf "]}]}"
}')
answer=$(printf %s "$body" | curl -sS -m 30 -H 'Content-Type: application/json' --data-binary @- "$URL/v2/models/$MODEL/infer")
case $answer in
*'"logits"'*) echo "$MODEL answers an image of shape [1,$shape]" ;;
*) echo "no logits in the answer: $answer" >&2; exit 1 ;;
esac

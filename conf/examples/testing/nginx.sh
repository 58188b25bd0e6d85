# A smoke test of nginx, on its usual port. Change it to one of your own server: this one knows nothing
# of portfence.

. ./meet.sh
folder=$(mktemp -d)
mkdir -m 777 "$folder/files" "$folder/body"
cat >"$folder/nginx.conf" <<END
daemon off;
pid $folder/pid;
events { }
http {
	access_log off;
	client_body_temp_path $folder/body;
	fastcgi_temp_path $folder/fastcgi;
	proxy_temp_path $folder/proxy;
	scgi_temp_path $folder/scgi;
	uwsgi_temp_path $folder/uwsgi;
	server {
		listen 80;
		listen [::]:80;
		root $folder/files;
		dav_methods PUT;
	}
}
END
# the workers are another user's where root starts it
chmod 711 "$folder"
PATH=$PATH:/usr/sbin
nginx -e "$folder/log" -c "$folder/nginx.conf" &
trap 'kill $!; wait; rm -r "$folder"' EXIT
until curl -so "$folder/ready" http://localhost/; do kill -0 $!; sleep 0.1; done

meet up
for round in $(seq 20); do
	echo "$copy-$round" | curl -fsS -T - http://localhost/token
	[ "$(curl -fsS http://localhost/token)" = "$copy-$round" ]
done
meet asked

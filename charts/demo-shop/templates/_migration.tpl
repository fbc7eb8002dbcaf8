{{- define "shop.migrationPod" -}}
metadata:
  labels:
    {{- include "shop.labels" . | nindent 4 }}
    app.kubernetes.io/component: migration
spec:
  {{- include "shop.podBasics" (dict "context" . "user" 10001) | nindent 2 }}
  restartPolicy: OnFailure
  enableServiceLinks: false
  containers:
    - name: migrate
      image: {{ include "shop.image" (dict "context" . "image" "shop") }}
      imagePullPolicy: {{ .Values.images.shop.pullPolicy }}
      command: [python, -m, demo_shop.stores.migrate]
      args:
        - --seed
        - --products={{ int .Values.shop.products }}
        - --random-seed={{ int .Values.shop.randomSeed }}
        - --wait-s={{ .Values.migration.waitSeconds }}
      env:
        {{- include "shop.databaseEnvironment" . | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .Values.migration.resources | nindent 8 }}
      volumeMounts:
        - name: secrets
          mountPath: /etc/shop/secrets
          readOnly: true
        - name: tmp
          mountPath: /tmp
  volumes:
    {{- include "shop.secretVolume" (dict "context" . "keys" (list "database-password")) | nindent 4 }}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
{{- end -}}

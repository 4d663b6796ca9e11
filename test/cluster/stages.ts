/**
 * What KWOK does with pods: each runs as soon as it has a node, and ends as soon as it is to be deleted. One with the
 * label `test/fails` ends with code 3 instead of running on. What was ended by force goes without it: it deletes by name, and
 * so the next pod under that name.
 */
export const STAGES = `
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: node-initialize }
spec:
  resourceRef: { apiGroup: v1, kind: Node }
  selector:
    matchExpressions:
      - key: '.status.conditions.[] | select( .type == "Ready" ) | .status'
        operator: NotIn
        values: ["True"]
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - lastHeartbeatTime: {{ $now | Quote }}
        lastTransitionTime: {{ $now | Quote }}
        reason: KubeletReady
        status: "True"
        type: Ready
      phase: Running
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: pod-run }
spec:
  resourceRef: { apiGroup: v1, kind: Pod }
  selector:
    matchExpressions:
      - { key: '.metadata.deletionTimestamp', operator: DoesNotExist }
      - { key: '.metadata.labels["test/fails"]', operator: DoesNotExist }
      - { key: '.status.phase', operator: In, values: [Pending] }
  next:
    statusTemplate: |
      {{ $now := Now }}
      {{ $uid := .metadata.uid }}
      conditions:
      - { type: PodScheduled, status: "True", lastTransitionTime: {{ .metadata.creationTimestamp | Quote }} }
      - { type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }} }
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        imageID: ""
        containerID: {{ printf "kwok://%s-%s" $uid .name | Quote }}
        name: {{ .name | Quote }}
        ready: true
        restartCount: 0
        state: { running: { startedAt: {{ $now | Quote }} } }
      {{ end }}
      phase: Running
      startTime: {{ $now | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: pod-fail }
spec:
  resourceRef: { apiGroup: v1, kind: Pod }
  selector:
    matchExpressions:
      - { key: '.metadata.deletionTimestamp', operator: DoesNotExist }
      - { key: '.metadata.labels["test/fails"]', operator: Exists }
      - { key: '.status.phase', operator: In, values: [Pending] }
  next:
    statusTemplate: |
      {{ $now := Now }}
      {{ $uid := .metadata.uid }}
      conditions:
      - { type: PodScheduled, status: "True", lastTransitionTime: {{ .metadata.creationTimestamp | Quote }} }
      - { type: Ready, status: "False", lastTransitionTime: {{ $now | Quote }} }
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        imageID: ""
        containerID: {{ printf "kwok://%s-%s" $uid .name | Quote }}
        name: {{ .name | Quote }}
        ready: false
        restartCount: 0
        state: { terminated: { exitCode: 3, reason: Error, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }} } }
      {{ end }}
      phase: Failed
      startTime: {{ $now | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: pod-delete }
spec:
  resourceRef: { apiGroup: v1, kind: Pod }
  selector:
    matchExpressions:
      - { key: '.metadata.deletionTimestamp', operator: Exists }
      - { key: '.metadata | select( .deletionGracePeriodSeconds == 0 )', operator: DoesNotExist }
  next:
    delete: true
`;

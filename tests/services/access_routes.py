"""Who may ask for what, by method and path; `tests/services/test_access_routes.py` asks for all of it.

``everyone``: without signing in. ``session``: whoever is known, also a token that may only report. ``known``: whoever
has a role. ``staff``: every role but a department's. ``member``: of the department in the path; ``department``: of
any. ``report``: a token that may report incidents and do nothing else. Nothing: no person and no token, as a feed signs
each of its calls.
"""

TABLE = """
GET    /                                                                known
GET    /assignments/{assignment_id}                                     known
GET    /assignments/{assignment_id}/state                               known
GET    /departments                                                     known
GET    /departments/{department}                                        staff member
GET    /departments/{department}/orders                                 staff member
GET    /exercise/                                                       known
GET    /exercise/assignments/{assignment_id}                            known
GET    /exercise/assignments/{assignment_id}/state                      known
GET    /exercise/departments                                            known
GET    /exercise/departments/{department}                               staff member
GET    /exercise/departments/{department}/orders                        staff member
GET    /exercise/drills                                                 staff
GET    /exercise/drills/compare                                         staff
GET    /exercise/drills/running                                         staff
GET    /exercise/drills/trend                                           staff
GET    /exercise/drills/{drill_id}                                      staff
GET    /exercise/drills/{drill_id}/now                                  staff
GET    /exercise/drills/{drill_id}/timeline                             staff
GET    /exercise/health/live                                            everyone
GET    /exercise/health/ready                                           everyone
GET    /exercise/improvements                                           staff
GET    /exercise/incidents                                              staff
GET    /exercise/incidents/{incident_id}                                known
GET    /exercise/incidents/{incident_id}/ask/{name}                     duty_officer
GET    /exercise/incidents/{incident_id}/curves                         known
GET    /exercise/incidents/{incident_id}/entries                        known
GET    /exercise/incidents/{incident_id}/now                            known
GET    /exercise/incidents/{incident_id}/reports/{event_id}             known
GET    /exercise/live/board                                             staff
GET    /exercise/manifest.webmanifest                                   everyone
GET    /exercise/metrics                                                everyone
GET    /exercise/offline                                                everyone
GET    /exercise/openapi.json                                           everyone
GET    /exercise/operations                                             administrator auditor
GET    /exercise/operations/dead-letters/{letter_id}                    administrator auditor
GET    /exercise/operations/invariants                                  administrator auditor
GET    /exercise/operations/now                                         administrator auditor
GET    /exercise/orders                                                 known
GET    /exercise/report                                                 duty_officer
POST   /exercise/report/preview                                         duty_officer
GET    /exercise/scorecards                                             known
GET    /exercise/scorecards/{department}                                staff member
GET    /exercise/sw.js                                                  everyone
GET    /exercise/v1/assignments/{assignment_id}                         known
POST   /exercise/v1/assignments/{assignment_id}/answers                 department
GET    /exercise/v1/board                                               staff
POST   /exercise/v1/cap                                                 duty_officer report
GET    /exercise/v1/dead-letters                                        administrator auditor
GET    /exercise/v1/dead-letters/{letter_id}                            administrator auditor
POST   /exercise/v1/dead-letters/{letter_id}/discard                    administrator
POST   /exercise/v1/dead-letters/{letter_id}/replay                     administrator
GET    /exercise/v1/departments                                         known
GET    /exercise/v1/departments/{department}                            known
GET    /exercise/v1/departments/{department}/assignments                staff member
GET    /exercise/v1/drills                                              staff
POST   /exercise/v1/drills                                              planner
GET    /exercise/v1/drills/compare                                      staff
GET    /exercise/v1/drills/due                                          staff
POST   /exercise/v1/drills/import                                       planner
GET    /exercise/v1/drills/scenarios                                    staff
GET    /exercise/v1/drills/schedules                                    staff
POST   /exercise/v1/drills/schedules                                    planner
DELETE /exercise/v1/drills/schedules/{name}                             planner
GET    /exercise/v1/drills/trend                                        staff
GET    /exercise/v1/drills/{drill_id}                                   staff
POST   /exercise/v1/drills/{drill_id}/controls                          planner
POST   /exercise/v1/drills/{drill_id}/corrections                       evaluator planner
GET    /exercise/v1/drills/{drill_id}/export                            staff
POST   /exercise/v1/drills/{drill_id}/proposals                         evaluator planner
POST   /exercise/v1/drills/{drill_id}/ratings                           evaluator planner
GET    /exercise/v1/drills/{drill_id}/report                            staff
GET    /exercise/v1/drills/{drill_id}/report.html                       staff
GET    /exercise/v1/drills/{drill_id}/report.pdf                        staff
GET    /exercise/v1/drills/{drill_id}/timeline                          staff
GET    /exercise/v1/improvements                                        staff
POST   /exercise/v1/improvements                                        evaluator planner
PATCH  /exercise/v1/improvements/{improvement_id}                       evaluator planner
POST   /exercise/v1/feeds/{feed}
GET    /exercise/v1/incidents                                           staff
POST   /exercise/v1/incidents                                           duty_officer report
POST   /exercise/v1/incidents/preview                                   duty_officer planner
GET    /exercise/v1/incidents/{incident_id}                             known
POST   /exercise/v1/incidents/{incident_id}/commands                    duty_officer
GET    /exercise/v1/incidents/{incident_id}/curves                      known
GET    /exercise/v1/incidents/{incident_id}/decisions/{event_id}        known
GET    /exercise/v1/incidents/{incident_id}/plans                       known
GET    /exercise/v1/incidents/{incident_id}/reports                     known
GET    /exercise/v1/incidents/{incident_id}/reports/{event_id}          known
GET    /exercise/v1/incidents/{incident_id}/reports/{event_id}/original known
GET    /exercise/v1/incidents/{incident_id}/timeline                    known
GET    /exercise/v1/incidents/{incident_id}/timeline.csv                known
GET    /exercise/v1/operations                                          administrator auditor
GET    /exercise/v1/operations/invariants                               administrator auditor
GET    /exercise/v1/scorecards                                          known
GET    /exercise/v1/scorecards/{department}                             staff member
GET    /exercise/v1/stream                                              known
GET    /exercise/wall                                                   staff
GET    /health/live                                                     everyone
GET    /health/ready                                                    everyone
GET    /incidents                                                       staff
GET    /incidents/{incident_id}                                         known
GET    /incidents/{incident_id}/ask/{name}                              duty_officer
GET    /incidents/{incident_id}/curves                                  known
GET    /incidents/{incident_id}/entries                                 known
GET    /incidents/{incident_id}/now                                     known
GET    /incidents/{incident_id}/reports/{event_id}                      known
GET    /live/board                                                      staff
GET    /manifest.webmanifest                                            everyone
GET    /metrics                                                         everyone
GET    /offline                                                         everyone
GET    /openapi.json                                                    everyone
GET    /operations                                                      administrator auditor
GET    /operations/dead-letters/{letter_id}                             administrator auditor
GET    /operations/invariants                                           administrator auditor
GET    /operations/now                                                  administrator auditor
GET    /orders                                                          known
GET    /password                                                        session
GET    /people                                                          administrator auditor
GET    /people/audit                                                    administrator auditor
GET    /people/tokens                                                   administrator auditor
GET    /people/{person_id}                                              administrator
GET    /plans                                                           staff
GET    /plans/check                                                     staff
POST   /plans/check                                                     staff
GET    /plans/{plan}                                                    staff
GET    /plans/{plan}/changes                                            staff
GET    /plans/{plan}/simulations/{simulation}                           staff
GET    /plans/{plan}/simulations/{simulation}/now                       staff
GET    /plans/{plan}/try                                                duty_officer planner
POST   /plans/{plan}/try                                                duty_officer planner
GET    /report                                                          duty_officer
POST   /report/preview                                                  duty_officer
GET    /scorecards                                                      known
GET    /scorecards/{department}                                         staff member
GET    /sign-in                                                         everyone
GET    /static/                                                         everyone
GET    /static/lib/htmx/                                                everyone
GET    /static/lib/noto-sans-sc/                                        everyone
GET    /static/lib/source-sans/                                         everyone
GET    /static/lib/uplot/                                               everyone
GET    /sw.js                                                           everyone
GET    /v1/assignments/{assignment_id}                                  known
POST   /v1/assignments/{assignment_id}/answers                          department
GET    /v1/audit                                                        administrator auditor
GET    /v1/board                                                        staff
POST   /v1/cap                                                          duty_officer report
GET    /v1/dead-letters                                                 administrator auditor
GET    /v1/dead-letters/{letter_id}                                     administrator auditor
POST   /v1/dead-letters/{letter_id}/discard                             administrator
POST   /v1/dead-letters/{letter_id}/replay                              administrator
GET    /v1/departments                                                  known
GET    /v1/departments/{department}                                     known
GET    /v1/departments/{department}/assignments                         staff member
POST   /v1/feeds/{feed}
GET    /v1/incidents                                                    staff
POST   /v1/incidents                                                    duty_officer report
POST   /v1/incidents/preview                                            duty_officer planner
GET    /v1/incidents/{incident_id}                                      known
POST   /v1/incidents/{incident_id}/commands                             duty_officer
GET    /v1/incidents/{incident_id}/curves                               known
GET    /v1/incidents/{incident_id}/decisions/{event_id}                 known
GET    /v1/incidents/{incident_id}/plans                                known
GET    /v1/incidents/{incident_id}/reports                              known
GET    /v1/incidents/{incident_id}/reports/{event_id}                   known
GET    /v1/incidents/{incident_id}/reports/{event_id}/original          known
GET    /v1/incidents/{incident_id}/timeline                             known
GET    /v1/incidents/{incident_id}/timeline.csv                         known
GET    /v1/operations                                                   administrator auditor
GET    /v1/operations/invariants                                        administrator auditor
GET    /v1/people                                                       administrator auditor
POST   /v1/people                                                       administrator
GET    /v1/people/{person_id}                                           administrator auditor
PATCH  /v1/people/{person_id}                                           administrator
POST   /v1/people/{person_id}/password                                  administrator
GET    /v1/plans                                                        staff
POST   /v1/plans/check                                                  staff
GET    /v1/plans/{plan}                                                 staff
GET    /v1/plans/{plan}/diff                                            staff
GET    /v1/plans/{plan}/findings                                        staff
POST   /v1/plans/{plan}/simulate                                        duty_officer evaluator planner
DELETE /v1/plans/{plan}/simulations/{simulation}                        duty_officer evaluator planner
GET    /v1/plans/{plan}/simulations/{simulation}                        staff
GET    /v1/plans/{plan}/versions                                        staff
GET    /v1/scorecards                                                   known
GET    /v1/scorecards/{department}                                      staff member
DELETE /v1/session                                                      session
GET    /v1/session                                                      session
POST   /v1/session                                                      everyone
GET    /v1/session/oidc                                                 everyone
GET    /v1/session/oidc/callback                                        everyone
POST   /v1/session/password                                             session
GET    /v1/stream                                                       known
GET    /v1/tokens                                                       administrator auditor
POST   /v1/tokens                                                       administrator
DELETE /v1/tokens/{token_id}                                            administrator
GET    /wall                                                            staff
"""

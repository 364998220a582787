/** The last word of X-secrets.service for a service (with suffix) whose entry has an error. */
export const keptDown = (service: string): string => `${service} is kept down`;

/** What is told of one that has failed with that word, and whose loaded entry is right. */
export const onceKeptDown = (service: string): string =>
  `it was kept down and does not come up by itself, but its entry is right now: systemctl start ${service}`;

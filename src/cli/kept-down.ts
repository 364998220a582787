/** The last word of X-secrets.service for a service (with suffix) whose entry has an error. */
export const keptDown = (service: string): string => `${service} is kept down`;

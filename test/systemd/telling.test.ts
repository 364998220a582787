import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Container } from '../container/container.ts';
import { bootMachine, makeHostKey, manifestPath, vaultManifest } from './machine.ts';

const app = { environment: { KEY: 'op://Home/App/key' } };
const unknown = { environment: { KEY: 'op://Home/App/nope' } };
const broken = { environment: { KEY: 'op://' } };
const template = '/etc/unit-secrets/templates/web.yaml';
const web = { environment: { KEY: 'op://Home/Web/key' }, configs: { 'web.yaml': { template } } };

/** What is told of failures, where something else has been true before: each test begins and ends with all well. */
describe('what people are told', () => {
  let machine: Container;
  beforeAll(async () => {
    machine = await bootMachine({
      suite: 'bookworm',
      key: makeHostKey(),
      manifest: vaultManifest({ app, web }, { fetch: { tries: 1, timeout: '20s', retryEvery: '1h' } }),
      vault: { Home: { App: { key: 'first-value' }, Web: { key: 'web-value' } } },
      services: { app: undefined, web: undefined },
      files: { [template]: 'key: ${KEY}\n' },
    });
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());

  const run = async (command: string) => {
    const { code, stdout, stderr } = await machine.exec(`unit-secrets ${command}`, { check: false });
    return { code, stdout, stderr };
  };
  const system = (command: string) => machine.exec(`systemctl ${command}`, { check: false });
  const edit = (services: Record<string, unknown>) =>
    machine.writeFile(
      manifestPath,
      vaultManifest(services, { fetch: { tries: 1, timeout: '20s', retryEvery: '1h' } }),
    );
  const jobsDone = () =>
    machine.waitFor(['sh', '-c', 'test -z "$(systemctl list-jobs --no-legend)"'], 'all jobs to be done');
  const allIsWell = async () =>
    expect(await run('status')).toEqual({ code: 0, stdout: expect.any(String), stderr: '' });

  test('apply tells why a fetch failed, and ends as that does', async () => {
    await edit({ app: unknown, web });
    const { code, stderr } = await run('apply');
    expect(stderr).toMatch(/app-secrets\.service could not be reloaded: .*"op:\/\/Home\/App\/nope"/);
    expect(stderr).not.toContain('Job for');
    expect(code).toBe(65);
    await edit({ app, web });
    expect((await run('apply')).code).toBe(0);
    await allIsWell();
  });

  test('a reason that was mended is not told of a later failure of another kind', async () => {
    await edit({ app: unknown, web });
    await machine.exec('systemctl daemon-reload && systemctl stop app');
    expect((await system('start app')).code).not.toBe(0);
    expect((await run('status')).stdout).toContain('op://Home/App/nope');
    await edit({ app, web });
    await machine.exec('systemctl daemon-reload && systemctl start app');
    const dropIn = '/etc/systemd/system/app.service.d/fails.conf';
    await machine.writeFile(
      dropIn,
      '[Service]\nExecStartPre=/bin/false\nRestart=on-failure\nRestartSec=1h\n',
    );
    await machine.exec('systemctl daemon-reload');
    expect((await system('restart app')).code).not.toBe(0);
    // as a fetch that fails arms it
    await machine.exec('systemctl start app-retry.timer');
    const { stdout } = await run('status app');
    expect(stdout).toContain('app.service could not be started');
    expect(stdout).not.toContain('nope');
    await machine.exec('systemctl stop app');
    const { code, stderr } = await run('retry app');
    expect(code).not.toBe(0);
    expect(stderr).toContain('app.service could not be started');
    expect(stderr).not.toContain('nope');
    await machine.exec(`rm ${dropIn}; systemctl daemon-reload; systemctl restart app`);
    await allIsWell();
  });

  test('an entry that was mended is not said to be kept down, and apply says what starts the service', async () => {
    const breakAndStart = async () => {
      await edit({ app: broken, web });
      await machine.exec('systemctl daemon-reload && systemctl stop app');
      expect((await system('start app')).code).not.toBe(0);
      expect((await run('status')).stdout).toMatch(/^app .*kept down: /m);
      const { code, stderr } = await run('retry app');
      expect(stderr).toMatch(
        /^app\.service could not be started: it is kept down: \S+manifest\.json:\d+:\d+: \$\.services\.app/,
      );
      expect(stderr).not.toContain('right now');
      expect(code).toBe(1);
      await edit({ app, web });
      expect(await run('retry app')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /what is loaded is older \(run unit-secrets apply, then systemctl start app\.service\)$/m,
        ),
      });
    };
    await breakAndStart();
    await machine.exec('systemctl daemon-reload');
    expect((await run('status')).stdout).toMatch(
      /^app .*its entry is right now: systemctl start app\.service$/m,
    );
    await breakAndStart();
    const { code, stderr } = await run('apply');
    expect(stderr).toContain('app.service does not run: ');
    expect(stderr).toContain('systemctl start app.service');
    expect(code).toBe(0);
    await allIsWell();
    expect((await system('is-failed app-secrets')).code).not.toBe(0);
    await machine.exec('systemctl start app');
  });

  test.each([
    ['that names what is not there', 'key: ${NOPE}\n', /could not be fetched anew: .*NOPE/],
    [
      'whose value does not fit',
      'key: ${KEY:number}\n',
      /web-config\.service could not be reloaded: .*web\.yaml/,
    ],
  ])('a reload that failed for a template %s is told until one succeeds', async (_, content, reason) => {
    await machine.writeFile(template, content);
    await system('reload web-secrets');
    await system('reload web-config');
    await jobsDone();
    for (const command of ['status', 'status web', 'doctor']) {
      const { code, stdout } = await run(command);
      expect(stdout).toMatch(/goes on with what it had/);
      expect(stdout).toMatch(reason);
      expect(code).toBe(1);
    }
    await machine.writeFile(template, 'key: ${KEY}\n');
    await machine.exec('systemctl reload web-secrets && systemctl reload web-config');
    await jobsDone();
    await allIsWell();
  });

  test('a fetcher that was killed is said to be', async () => {
    const dropIn = '/etc/systemd/system/app-secrets.service.d/killed.conf';
    await machine.writeFile(dropIn, "[Service]\nExecStart=\nExecStart=/bin/sh -c 'kill -KILL $$$$'\n");
    await machine.exec('systemctl daemon-reload && systemctl stop app');
    expect((await system('start app')).code).not.toBe(0);
    expect((await run('status')).stdout).toMatch(/^app .*app-secrets\.service was killed \(SIGKILL\)/m);
    await machine.exec(`rm ${dropIn}; systemctl daemon-reload; systemctl start app`);
    await allIsWell();
  });

  test('secrets that a condition keeps from being fetched are said to be skipped', async () => {
    const dropIn = '/etc/systemd/system/app-secrets.service.d/condition.conf';
    await machine.writeFile(dropIn, '[Unit]\nConditionPathExists=/nonexistent\n');
    await machine.exec('systemctl daemon-reload && systemctl stop app');
    expect((await system('start app')).code).not.toBe(0);
    for (const command of ['status', 'status app', 'doctor']) {
      const { code, stdout } = await run(command);
      expect(stdout).toMatch(/app-secrets\.service was skipped, .*systemctl status app-secrets\.service/);
      expect(stdout).not.toContain('fetched\n');
      expect(code).toBe(1);
    }
    expect(await run('retry app')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('app-secrets.service was skipped, '),
    });
    await machine.exec(`rm ${dropIn}; systemctl daemon-reload; systemctl start app`);
    await allIsWell();
  });

  test('a group that does not exist is told by all', async () => {
    await edit({ app: { ...app, group: 'nosuchgrp' }, web });
    expect(await run('check')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^warning: \S+manifest\.json:\d+:\d+: \$\.services\.app\.group: this system has no group "nosuchgrp": .*$/m,
      ),
    });
    expect(await run('doctor')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /^error +groups: .* nosuchgrp: .* app\.service .*\n +groupadd --system nosuchgrp/m,
      ),
    });
    await machine.exec('systemctl daemon-reload && systemctl stop app');
    const { code, stderr } = await run('retry app');
    expect(stderr).toContain('the group of its entry does not exist (216/GROUP)');
    expect(code).toBe(1);
    expect((await run('status')).stdout).toMatch(/^app .*the group of its entry does not exist/m);
    await edit({ app, web });
    expect((await run('check')).stdout).toMatch(/^no errors, 0 warnings/);
    await machine.exec('systemctl daemon-reload; systemctl start app');
    await allIsWell();
  });

  test('apply resets what an entry has left failed, and nothing of others', async () => {
    // theirs, by its name: nothing is known of such a service
    await machine.exec('systemd-run --quiet --unit=their-secrets --service-type=oneshot /bin/false || true');
    const failed = async () =>
      (await system('list-units --all --plain --no-legend --state=failed')).stdout.match(/^\S+/gm) ?? [];
    const pendingRetry = async () => {
      await machine.exec('systemctl stop app && mv /etc/unit-secrets/vault.age /root/');
      expect((await system('start app')).code).not.toBe(0);
      await machine.exec('mv /root/vault.age /etc/unit-secrets/');
      await edit({ web });
    };
    await pendingRetry();
    expect(await run('apply')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        /^systemctl reset-failed .*\bapp-secrets\.service: nothing describes \w+ any more$/m,
      ),
    });
    expect(await failed()).toEqual(['their-secrets.service']);
    await edit({ app, web });
    expect((await run('apply')).code).toBe(0);
    await machine.exec('systemctl start app');
    await pendingRetry();
    await machine.exec('systemctl daemon-reload');
    expect(await failed()).toEqual(expect.arrayContaining(['app-retry.timer', 'app-secrets.service']));
    expect((await run('apply')).stderr).toContain('app-secrets.service');
    expect(await failed()).toEqual(['their-secrets.service']);
    await machine.exec('systemctl reset-failed their-secrets');
    await edit({ app, web });
    expect((await run('apply')).code).toBe(0);
    await machine.exec('systemctl start app');
    await allIsWell();
  });

  test('of a name in a file that is not JSON it is not said that it is a service', async () => {
    await machine.writeFile(
      manifestPath,
      vaultManifest({ app, phantom: app, web }).replace('"app": {', '"app": {{'),
    );
    await machine.exec('systemctl daemon-reload');
    const { code, stdout } = await run('status');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^phantom +missing +- .*there is no phantom\.service/m);
    expect(stdout).toMatch(/^app +active +kept down /m);
    await edit({ app, web });
    expect((await run('apply')).stdout).not.toContain('has left the manifest');
    await allIsWell();
  });

  test('after the apply that removes an entry there is nothing to plan', async () => {
    await edit({ web });
    expect((await run('apply')).code).toBe(0);
    expect(await run('plan')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^no change/) });
    expect((await run('doctor')).stdout).not.toMatch(/files? differ/);
    await edit({ app, web });
    expect((await run('apply')).code).toBe(0);
    await allIsWell();
  });

  test('an edited template is told by plan, and taken by apply; the service is restarted if a file differs', async () => {
    const pid = async () => (await system('show --property=MainPID --value web')).stdout;
    const before = await pid();
    await machine.exec(`touch ${template}`);
    expect((await run('apply')).code).toBe(0);
    expect(await pid()).toBe(before);
    // the reload that X-secrets passes on may render once more, after the one that was waited for
    await jobsDone();
    await machine.exec(
      `printf 'key: \${KEY}\\nmore: 1\\n' >${template}.new && mv ${template}.new ${template}`,
    );
    const told = `web.service has files that were rendered earlier: ${template} was edited since`;
    expect(await run('plan')).toMatchObject({ code: 2, stdout: expect.stringContaining(told) });
    expect(await run('apply')).toMatchObject({ code: 0, stdout: expect.stringContaining(told) });
    expect((await machine.exec('cat /run/unit-secrets/config/web/web.yaml')).stdout).toContain('more: 1\n');
    expect(await pid()).not.toBe(before);
    expect((await run('plan')).code).toBe(0);
    // one who has it rendered by hand is given the restart, too
    const restarted = await pid();
    await jobsDone();
    await machine.writeFile(template, 'key: ${KEY}\n');
    await machine.exec('systemctl reload web-secrets && systemctl reload web-config');
    await jobsDone();
    expect((await run('apply')).code).toBe(0);
    expect(await pid()).not.toBe(restarted);
    await allIsWell();
  });
});

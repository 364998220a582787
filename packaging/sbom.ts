import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import { PackageURL } from 'packageurl-js';
import { type Component, idOf } from './components.ts';
import type { Release } from './release.ts';

/** The bill of materials of one executable, in CycloneDX 1.6 as JSON; the same for the same executable. */
export function sbom(release: Release, components: readonly Component[], sha256: string): string {
  const program = new Models.Component(Enums.ComponentType.Application, 'unit-secrets', {
    bomRef: `unit-secrets@${release.version}`,
    version: release.version,
    description: release.summary,
    licenses: new Models.LicenseRepository([new Models.SpdxLicense('MIT')]),
    hashes: new Models.HashDictionary([[Enums.HashAlgorithm['SHA-256'], sha256]]),
  });
  const models = new Map(components.map((component) => [idOf(component), toModel(component)]));
  for (const component of components) {
    for (const other of component.needs) models.get(idOf(component))?.dependencies.add(refOf(models, other));
  }
  for (const model of models.values()) program.dependencies.add(model.bomRef);
  const bom = new Models.Bom({
    version: 1,
    components: new Models.ComponentRepository(models.values()),
    metadata: new Models.Metadata({ component: program, timestamp: new Date(release.time * 1000) }),
  });
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
}

function toModel({ name, version, license, integrity }: Component): Models.Component {
  const [, group, base = name] = /^(?:(@[^/]+)\/)?(.*)$/.exec(name) ?? [];
  const purl = new PackageURL('npm', group, base, version, undefined, undefined).toString();
  return new Models.Component(Enums.ComponentType.Library, base, {
    bomRef: purl,
    group,
    version,
    purl,
    licenses: new Models.LicenseRepository([new Models.SpdxLicense(license)]),
    hashes: new Models.HashDictionary([
      [
        Enums.HashAlgorithm['SHA-512'],
        Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex'),
      ],
    ]),
  });
}

function refOf(models: ReadonlyMap<string, Models.Component>, id: string): Models.BomRef {
  const model = models.get(id);
  if (model === undefined) throw new Error(`${id} is not a component`);
  return model.bomRef;
}

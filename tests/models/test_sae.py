import pytest
import torch

from paribus.errors import CheckpointError
from paribus.models.autoencoders import load_sae, random_sae, sae_from_state
from paribus.models.nets.sae import SparseAutoencoder, identity_autoencoder
from paribus.models.sae import SAE

D, F = 6, 11


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def filled(**settings):
    sae = SparseAutoencoder(D, F, **settings)
    with torch.no_grad():
        for i, parameter in enumerate(sae.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator(i)))
    return sae.eval()


def test_the_formula_of_the_encoder_with_its_clamp():
    sae, x = filled(clamp=0.7), torch.randn(20, D, generator=generator(9))
    f, z = sae.encode(x)
    expected = (x - sae.decoder_bias) @ sae.encoder.weight.T + sae.encoder.bias
    assert torch.allclose(z, expected, atol=1e-5)
    assert torch.allclose(f, expected.clamp(0, 0.7), atol=1e-5)
    assert float(filled(clamp=None).encode(x)[0].detach().max()) > 0.7


def test_reconstruction_uses_unit_columns_and_never_the_decoders_own_bias():
    sae, x = filled(), torch.randn(5, D, generator=generator(9))
    reconstruction, f, _ = sae(x)
    columns = sae.decoder.weight / sae.decoder.weight.norm(dim=0)
    assert torch.allclose(reconstruction, f @ columns.T + sae.decoder_bias, atol=1e-5)
    with torch.no_grad():
        sae.decoder.bias.fill_(1e6)
    assert torch.allclose(sae(x)[0], reconstruction)


@pytest.mark.parametrize("settings", [{}, {"clamp": 0.5}, {"threshold": torch.linspace(0, 1, F)}, {"top_k": 3}])
def test_reading_rows_equals_reading_all(settings):
    sae, x = filled(**settings), torch.randn(30, D, generator=generator(9))
    rows = torch.tensor([7, 0, 7])
    f, z = sae.encode(x)
    f_rows, z_rows = sae.encode(x, rows)
    assert torch.allclose(f_rows, f[:, rows], atol=1e-6) and torch.allclose(z_rows, z[:, rows], atol=1e-6)


def test_jumprelu_and_topk():
    x = torch.randn(30, D, generator=generator(9))
    jump = filled(threshold=torch.full((F,), 0.4))
    f, z = jump.encode(x)
    assert torch.allclose(f, torch.where(z > 0.4, z, 0.0))
    f, _ = filled(top_k=3).encode(x)
    assert int((f > 0).sum(1).max()) <= 3


def test_the_state_dict_has_the_real_keys():
    state = filled().state_dict()
    assert {name: tuple(v.shape) for name, v in state.items()} == {
        "decoder_bias": (D,),
        "usage_ema": (F,),
        "encoder.weight": (F, D),
        "encoder.bias": (F,),
        "decoder.weight": (D, F),
        "decoder.bias": (D,),
    }
    again = sae_from_state({f"module.{n}": v for n, v in state.items()}, clamp=6.0, where="x")
    x = torch.randn(4, D)
    assert torch.equal(again.preactivation(x), filled().preactivation(x)) and float(again.clamp) == 6.0


def test_identity_autoencoder_reads_units():
    sae = identity_autoencoder(4, torch.tensor([torch.inf, 1.0, torch.inf, 0.5]))
    x = torch.tensor([[2.0, 2.0, -2.0, 2.0]])
    f, z = sae.encode(x)
    assert f.tolist() == [[2.0, 1.0, 0.0, 0.5]] and torch.equal(z, x)


def test_files_that_are_no_autoencoder(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_sae(tmp_path / "x.pth", clamp=None)
    with pytest.raises(CheckpointError, match="no file"):
        load_sae(tmp_path, clamp=None)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds no encoder.weight"):
        load_sae(tmp_path / "x.pth", clamp=None)
    torch.save({"encoder.weight": torch.zeros(F, D)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="missing"):
        load_sae(tmp_path / "x.pth", clamp=None)
    torch.save(filled().state_dict(), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="reads vectors of 6, the model gives 7"):
        SAE(path=str(tmp_path / "x.pth")).build(7, generator())
    assert SAE(path=str(tmp_path / "x.pth")).input_files() == {"sae": tmp_path / "x.pth"} and not SAE().input_files()
    assert set(SAE(path=str(tmp_path)).input_files()) == {"sae_weights", "sae_settings"}
    assert random_sae(D, F, generator()).encode(torch.randn(2, D))[0].shape == (2, F)

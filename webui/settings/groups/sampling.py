"""How pictures are computed."""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Noise, sampler options, and how prompts become conditioning."""

    noise_source: Annotated[
        str,
        Control(
            "Random number generator source.",
            choices=("GPU", "CPU", "NV"),
            a1111="randn_source",
            infotext="RNG",
            info="changes seeds drastically; CPU: the same picture on every card; NV: the same as on NVidia cards",
        ),
    ] = "GPU"
    ensd: Annotated[
        int,
        Control(
            "Eta noise seed delta",
            a1111="eta_noise_seed_delta",
            infotext="ENSD",
            info="does not improve anything, just produces different results for ancestral samplers",
        ),
    ] = 0
    eta_ancestral: Annotated[
        float,
        Control(
            "Eta for k-diffusion samplers",
            lo=0,
            hi=1,
            step=0.01,
            a1111="eta_ancestral",
            infotext="Eta",
            info="noise multiplier; applies to ancestral and SDE samplers",
        ),
    ] = 1.0
    eta_ddim: Annotated[
        float,
        Control(
            "Eta for DDIM",
            lo=0,
            hi=1,
            step=0.01,
            a1111="eta_ddim",
            infotext="Eta DDIM",
            info="noise multiplier; higher = more unpredictable results",
        ),
    ] = 0.0
    s_churn: Annotated[
        float,
        Control(
            "sigma churn",
            lo=0,
            hi=100,
            step=0.01,
            a1111="s_churn",
            infotext="Sigma churn",
            info="amount of stochasticity; only applies to Euler, Heun, and DPM2",
        ),
    ] = 0.0
    s_tmin: Annotated[
        float,
        Control(
            "sigma tmin",
            lo=0,
            hi=10,
            step=0.01,
            a1111="s_tmin",
            infotext="Sigma tmin",
            info="start value of the sigma range of churn",
        ),
    ] = 0.0
    s_tmax: Annotated[
        float,
        Control(
            "sigma tmax",
            lo=0,
            hi=999,
            step=0.01,
            a1111="s_tmax",
            infotext="Sigma tmax",
            info="0 = inf; end value of the sigma range of churn",
        ),
    ] = 0.0
    s_noise: Annotated[
        float,
        Control(
            "sigma noise",
            lo=0,
            hi=1.1,
            step=0.001,
            a1111="s_noise",
            infotext="Sigma noise",
            info="amount of additional noise to counteract loss of detail during sampling",
        ),
    ] = 1.0
    sigma_min: Annotated[
        float, Control("sigma min", lo=0, a1111="sigma_min", infotext="Schedule min sigma", info="0 = default (~0.03)")
    ] = 0.0
    sigma_max: Annotated[
        float, Control("sigma max", lo=0, a1111="sigma_max", infotext="Schedule max sigma", info="0 = default (~14.6)")
    ] = 0.0
    rho: Annotated[
        float,
        Control(
            "rho", lo=0, a1111="rho", infotext="Schedule rho", info="0 = default (7 for karras, 1 for polyexponential)"
        ),
    ] = 0.0
    beta_alpha: Annotated[
        float,
        Control(
            "Beta scheduler - alpha", lo=0.01, hi=1, step=0.01, a1111="beta_dist_alpha", infotext="Beta schedule alpha"
        ),
    ] = 0.6
    beta_beta: Annotated[
        float,
        Control(
            "Beta scheduler - beta", lo=0.01, hi=1, step=0.01, a1111="beta_dist_beta", infotext="Beta schedule beta"
        ),
    ] = 0.6
    discard_penultimate: Annotated[
        bool,
        Control(
            "Always discard next-to-last sigma",
            a1111="always_discard_next_to_last_sigma",
            infotext="Discard penultimate sigma",
        ),
    ] = False
    sgm_noise_multiplier: Annotated[
        bool,
        Control(
            "SGM noise multiplier",
            a1111="sgm_noise_multiplier",
            infotext="SGM noise multiplier",
            info="match the initial noise of the official SDXL implementation",
        ),
    ] = False
    unipc_variant: Annotated[
        str,
        Control(
            "UniPC variant", choices=("bh1", "bh2", "vary_coeff"), a1111="uni_pc_variant", infotext="UniPC variant"
        ),
    ] = "bh1"
    unipc_skip_type: Annotated[
        str,
        Control(
            "UniPC skip type",
            choices=("time_uniform", "time_quadratic", "logSNR"),
            a1111="uni_pc_skip_type",
            infotext="UniPC skip type",
        ),
    ] = "time_uniform"
    unipc_order: Annotated[
        int,
        Control(
            "UniPC order", lo=1, hi=50, a1111="uni_pc_order", infotext="UniPC order", info="must be < sampling steps"
        ),
    ] = 3
    unipc_lower_order_final: Annotated[
        bool, Control("UniPC lower order final", a1111="uni_pc_lower_order_final", infotext="UniPC lower order final")
    ] = True
    s_min_uncond: Annotated[
        float,
        Control(
            "Negative Guidance minimum sigma",
            lo=0,
            hi=15,
            step=0.01,
            a1111="s_min_uncond",
            infotext="NGMS",
            info="skip negative prompt for some steps when the image is almost ready; 0 = disable, higher = faster",
        ),
    ] = 0.0
    s_min_uncond_all: Annotated[
        bool,
        Control(
            "Negative Guidance minimum sigma all steps",
            a1111="s_min_uncond_all",
            infotext="NGMS all steps",
            info="by default every second step is skipped",
        ),
    ] = False
    skip_early_cond: Annotated[
        float,
        Control(
            "Ignore negative prompt during early sampling",
            lo=0,
            hi=1,
            step=0.01,
            a1111="skip_early_cond",
            infotext="Skip Early CFG",
            info="share of steps at the beginning without CFG; 0 = skip none, 1 = skip all",
        ),
    ] = 0.0
    emphasis: Annotated[
        str,
        Control(
            "Emphasis mode",
            choices=("None", "Ignore", "Original", "No norm"),
            a1111="emphasis",
            infotext="Emphasis",
            info="makes (more:1.1) or (less:0.9) emphasis work",
        ),
    ] = "Original"
    comma_padding_backtrack: Annotated[
        int,
        Control(
            "Prompt word wrap length limit",
            lo=0,
            hi=74,
            a1111="comma_padding_backtrack",
            info="in tokens; texts that do not fit into the 75 token limit move to the next 75 token chunk",
        ),
    ] = 20
    enable_prompt_comments: Annotated[
        bool,
        Control(
            "Enable comments",
            a1111="enable_prompt_comments",
            info="# and what follows on the line is left out of prompts",
        ),
    ] = True
    pad_cond_uncond: Annotated[
        bool,
        Control(
            "Pad prompt/negative prompt",
            a1111="pad_cond_uncond",
            infotext="Pad conds",
            info="to the same length; faster when they differ; changes seeds",
        ),
    ] = False
    pad_cond_uncond_v0: Annotated[
        bool,
        Control(
            "Pad prompt/negative prompt (v0)",
            a1111="pad_cond_uncond_v0",
            infotext="Pad conds v0",
            info="as DDIM before 1.6.0: a longer negative prompt is cut off",
        ),
    ] = False
    batch_cond_uncond: Annotated[
        bool, Control("Batch cond/uncond", a1111="batch_cond_uncond", info="both in one call; more memory, faster")
    ] = True
    enable_quantization: Annotated[
        bool,
        Control(
            "Enable quantization in K samplers for sharper and cleaner results",
            a1111="enable_quantization",
            info="rounds timesteps; may change existing seeds",
        ),
    ] = False
    noise_schedule: Annotated[
        str,
        Control(
            "Noise schedule for sampling",
            choices=("Default", "Zero Terminal SNR"),
            a1111="sd_noise_schedule",
            infotext="Noise Schedule",
            info="for use with zero terminal SNR trained models; those that say so themselves need no setting",
        ),
    ] = "Default"
    prediction_type: Annotated[
        str,
        Control(
            "Prediction type",
            choices=("Automatic", "Epsilon", "V-prediction"),
            infotext="Prediction type",
            info="what the checkpoint predicts; Automatic = as the file says, else epsilon",
        ),
    ] = "Automatic"
    use_old_scheduling: Annotated[
        bool,
        Control(
            "Use old prompt editing timelines.",
            a1111="use_old_scheduling",
            infotext="Old prompt editing timelines",
            info="numbers below 1 are a share of the steps, others a step, the same in both passes",
        ),
    ] = False
    use_old_emphasis: Annotated[
        bool,
        Control(
            "Use old emphasis implementation. Can be useful to reproduce old seeds.",
            a1111="use_old_emphasis_implementation",
        ),
    ] = False
    use_old_karras_sigmas: Annotated[
        bool, Control("Use old karras scheduler sigmas (0.1 to 10).", a1111="use_old_karras_scheduler_sigmas")
    ] = False
    downcast_alphas: Annotated[
        bool,
        Control(
            "Downcast model alphas_cumprod to fp16 before sampling. For reproducing old seeds.",
            a1111="use_downcasted_alpha_bar",
            infotext="Downcast alphas_cumprod",
        ),
    ] = False
